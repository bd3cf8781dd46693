"""A linear autoencoder is principal component analysis.

    minimise |x - W' W x|^2        at the optimum W' W is the projection on the leading eigenvectors of cov(x)

Its rows span the principal components and are not these themselves: any rotation of the code is as good.

Baldi & Hornik (1989), "Neural networks and principal component analysis", Neural Networks 2, 53-58.
"""

import torch

import lookalike

LATENT = 2
data = lookalike.open_data("wine")
# In float32: with the three digits of bf16, which is used where the hardware is fast at it, the angle stays at 0.002.
how = {"latent": LATENT, "steps": 2000, "batch_size": 142, "lr": 1e-2, "precision": "float32"}
run = lookalike.train("linear-ae", "wine", out="runs/07", overwrite=True, **how)
model = lookalike.load(run)

x, _ = data.train.first(len(data.train))
h = model.door.enter(x)  # as the network has it: each column standardised
V = torch.linalg.svd(h - h.mean(0), full_matrices=False).Vh[:LATENT]  # the leading components, (latent, D)
Q, _ = torch.linalg.qr(model.encoder[-1].weight.T)  # an orthonormal basis of what the encoder sees, (D, latent)

# By what of one plane lies outside of the other: the cosine of a small angle is 1 to float32.
angles = torch.linalg.svdvals(Q - V.T @ (V @ Q)).arcsin()
pca = h.mean(0) + (h - h.mean(0)) @ V.T @ V
with torch.no_grad():
    print(f"largest angle between the two planes  {angles.max():.6f} rad")
    print(f"squared error of PCA                  {(h - pca).square().mean():.5f}")
    print(f"squared error of the autoencoder      {(h - model.door.enter(model.reconstruct(x))).square().mean():.5f}")
