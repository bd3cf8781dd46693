"""Your own table: learn its rows, write more like them, and find the rows that do not belong.

    log p(row) = sum_d log p(x_d | x_1 ... x_d-1)          a mixture of Gaussians for a number, a categorical for
                                                           a category, and the chance that a number is missing

Germain et al. (2015), "MADE", arXiv:1502.03509.
"""

import random
from pathlib import Path

import lookalike

# A table as tables are: numbers, words and gaps. Taller people are heavier; in Oslo they cycle.
random.seed(0)
lines = ["height,weight,town,commute"]
for _ in range(2000):
    height, town = random.gauss(172, 9), random.choice(["Bern", "Oslo", "Rome"])
    weight = f"{random.gauss(0.9 * height - 88, 6):.1f}" if random.random() > 0.1 else ""
    lines.append(f"{height:.0f},{weight},{town},{'cycle' if town == 'Oslo' and random.random() < 0.8 else 'walk'}")
folder = Path("runs/02")
folder.mkdir(parents=True, exist_ok=True)
table = folder / "people.csv"
table.write_text("\n".join(lines))

print(lookalike.inspect(str(table)))
run = lookalike.train("made", table, out=folder / "made", overwrite=True, steps=1500)

# More rows, in your own words, units and decimals.
lookalike.sample(run, n=1000, out=folder / "more.csv", overwrite=True)
print("\n".join((folder / "more.csv").read_text().splitlines()[:5]))

# -log p(row) says how rare a row is: the model was told nothing of what is odd.
odd = folder / "odd.csv"
odd.write_text("height,weight,town,commute\n172,67,Rome,walk\n172,,Oslo,cycle\n172,140,Bern,walk\n172,67,Rome,cycle\n")
model = lookalike.load(run)
x, _ = lookalike.open_data(odd, like=model.spec).items.first(4)
for row, rarity in zip(odd.read_text().splitlines()[1:], (-model.log_prob(x)).tolist(), strict=True):
    print(f"{rarity:8.1f} nats   {row}")
