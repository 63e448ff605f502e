import dataclasses
from pathlib import Path

import pytest

from shot_types.training.recipe import Recipe


@pytest.mark.parametrize(
    "field",
    [
        {"height": 0},
        {"epochs": 0},
        {"epochs": 2, "head_epochs": 3},
        {"lr": 0.0},
        {"weight_decay": -1},
        {"batch_size": 0},
        {"frozen": -1},
        {"ema_decay": 1.0},
        {"repeats": {"source": {"film": "twice"}}},
        {"augment": "all"},
        {"distillation": 1.5},
    ],
)
def test_a_value_that_makes_no_sense_is_named(field):
    with pytest.raises(ValueError, match=f"recipe: .*{list(field)[-1]}.* cannot be .*; see the fields of Recipe"):
        Recipe(**field)


def test_a_short_run_averages_over_a_part_of_itself():
    recipe = Recipe(ema_decay=0.99)
    assert recipe.decay(1000) == recipe.decay(150) == 0.99
    assert recipe.decay(15) == pytest.approx(0.9) and recipe.decay(1) == 0


def test_moved_data_do_not_make_it_another_run():
    one, other = Recipe(initial="a/start.pt").as_dict(), Recipe(initial=Path("b/start.pt")).as_dict()
    assert one == other and one["initial"] == "start.pt" and Recipe(initial=None).as_dict()["initial"] is None
    assert set(one) == {field.name for field in dataclasses.fields(Recipe)}
