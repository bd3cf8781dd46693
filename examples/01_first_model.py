"""A first model: a variational autoencoder of small digits.

    log p(x)  >=  E_q[log p(x|z)] - KL(q(z|x) || N(0, I)),        z ~ q(z|x) = N(mean(x), diag exp(log_var(x)))

Kingma & Welling (2014), "Auto-Encoding Variational Bayes", arXiv:1312.6114.
"""

import lookalike

# A recipe, data and a folder; "photos/" or "table.csv" in the place of "digits" would do as well.
run = lookalike.train("vae", "digits", out="runs/01", overwrite=True, steps=1500, width=16, latent=8)

# What it is worth: every number with its kind, its spread and what it was measured on.
print(lookalike.evaluate(run, metrics=("bits_per_dim", "bits_per_dim_iw", "psnr", "coverage")))

# A trained model is an nn.Module in eval mode, in the user's units: images in [0, 1].
model = lookalike.load(run)
x, y = lookalike.open_data("digits").test.first(4)
z = model.encode(x)
print("codes", tuple(z.shape), " reconstructions", tuple(model.decode(z).shape))
print("new items", tuple(model.sample(16, seed=0).shape), f" log p(x) at least {model.log_prob(x).mean():.1f} nats")

print(lookalike.sample(run, n=64, out="runs/01/samples.png", overwrite=True))
print(f"everything on one page: {run.path}/report.html")
