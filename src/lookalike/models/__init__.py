"""The taxonomy of generative models; each branch is a folder, each family a folder in it.

autoencoder/                  no density           z = f(x), x_hat = g(z)
tractable/autoregressive/     explicit, exact      log p(x) = sum_i log p(x_i | x_<i)
tractable/flow/               explicit, exact      log p(x) = log p(z) + log |det dz/dx|
approximate/vae/              explicit, bounded    log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z))
implicit/gan/                 no density           a discriminator compares samples with data
"""
