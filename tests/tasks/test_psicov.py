"""PSICOV: features and distances of pairs of residues, crops, canvases and tiles."""

import pickle

import numpy as np
import pytest
from tiny_official import make, prepared

from dashnas.errors import DataError
from dashnas.tasks.nb360.protein_files import read_distances, read_features
from dashnas.tasks.nb360.proteins import ProteinTable, TileTable, on_canvas, placed


@pytest.fixture
def folder(tmp_path):
    return make("psicov", tmp_path)


class TestFeatures:
    def test_a_value_of_a_residue_gives_a_map_of_the_second_and_one_of_the_first(self, folder):
        path = folder / "psicov/features/psicov0.pkl"
        content, got = pickle.loads(path.read_bytes()), read_features(path)
        assert got.shape == (57, 40, 40)
        vectors = [*content["ss"], *content["pssm"].T, content["sa"], content["entropy"]]
        for number, vector in enumerate(vectors):
            np.testing.assert_allclose(got[2 * number], np.broadcast_to(vector, (40, 40)), rtol=1e-6)
            np.testing.assert_allclose(got[2 * number + 1], np.broadcast_to(vector, (40, 40)).T, rtol=1e-6)
        assert (got[0] == got[0][0]).all()  # channel 0 is constant along the rows
        for number, name in enumerate(("ccmpred", "freecon", "potential")):
            np.testing.assert_allclose(got[54 + number], content[name], rtol=1e-6)

    def test_what_is_not_known_is_zero(self, folder):
        path = folder / "psicov/features/psicov0.pkl"
        content = pickle.loads(path.read_bytes())
        content["sa"][3] = np.nan
        path.write_bytes(pickle.dumps(content))
        assert (read_features(path)[50, :, 3] == 0).all()

    def test_a_table_of_another_length_is_refused(self, folder):
        path = folder / "psicov/features/psicov0.pkl"
        content = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps({**content, "pssm": content["pssm"][:-1]}))
        with pytest.raises(DataError, match=r"pssm in .*psicov0\.pkl has shape \(39, 22\) .* expected numbers, 40x22"):
            read_features(path)


class TestDistances:
    def save(self, path, matrix, length=None):
        content = np.empty(3, object)
        content[:] = [len(matrix) if length is None else length, "A" * len(matrix), matrix]
        np.save(path, content)
        return path

    def test_small_ones_become_1_and_the_diagonal_the_mean_of_its_neighbours(self, tmp_path):
        raw = np.array([[0, 4, 6, 8], [4, 0, 0.5, 7], [6, 0.5, 0, 5], [8, 7, 5, 0]])
        got = read_distances(self.save(tmp_path / "a.npy", raw))
        expected = [[4, 4, 6, 8], [4, 2.5, 1, 7], [6, 1, 3, 5], [8, 7, 5, 5]]
        np.testing.assert_array_equal(got, np.array(expected, np.float32))

    def test_other_content_is_refused(self, tmp_path):
        with pytest.raises(DataError, match=r"the distances in .* has shape \(4, 4\) .* expected numbers, 5x5"):
            read_distances(self.save(tmp_path / "a.npy", np.ones((4, 4)), length=5))
        np.save(tmp_path / "b.npy", np.ones((4, 4)))
        with pytest.raises(DataError, match="holds ndarray; expected three items: length, sequence and distances"):
            read_distances(tmp_path / "b.npy")
        with pytest.raises(DataError, match="is of a protein of 2 residues; expected at least 3"):
            read_distances(self.save(tmp_path / "c.npy", np.ones((2, 2))))


class TestPlacement:
    def test_a_large_protein_is_cut_at_offsets_from_0_to_32(self):
        drawn = np.array([placed(150, 128, np.random.default_rng(seed)) for seed in range(600)])
        assert drawn.min(axis=0).tolist() == [0, 0]
        assert drawn.max(axis=0).tolist() == [32, 32]
        assert (drawn[:, 0] != drawn[:, 1]).mean() > 0.9  # each axis for itself

    def test_a_small_one_lies_in_the_corner(self):
        assert placed(100, 128, np.random.default_rng(0)) == (0, 0)
        got = on_canvas(np.ones((2, 100, 100)), 128, 0, (0, 0))
        assert (got[:, 5:105, 5:105] == 1).all()
        assert got.sum() == 2 * 100 * 100
        assert (got[:, -18:] == 0).all()  # beyond the rim of the map

    def test_a_crop_is_a_part_of_the_padded_map(self):
        maps = np.arange(150 * 150.0).reshape(150, 150)
        got = on_canvas(maps, 128, -1.0, (3, 32))
        np.testing.assert_array_equal(got, np.pad(maps, 5, constant_values=-1)[3:131, 32:160])


class TestTables:
    def test_training_clips_distances_and_scoring_does_not(self, folder):
        table = ProteinTable(folder / "deepcov", ["deepcov1"], canvas=512, crop=128)
        drawn = table.draw(np.array([0]), ["x", "y", "length"], [np.random.default_rng(0)])
        whole = table.take(slice(None), ["y"])["y"]
        assert (drawn["x"].shape, drawn["y"].shape) == ((1, 57, 128, 128), (1, 1, 128, 128))
        assert drawn["y"].max() == 16
        assert drawn["length"].tolist() == [60]
        np.testing.assert_array_equal(drawn["y"], np.minimum(whole[..., :128, :128], 16))
        assert whole[0, 0, 65:, :].min() == 100

    def test_a_protein_that_does_not_fit_is_refused(self, folder):
        with pytest.raises(DataError, match=r"of 60 residues, of which only 54 can be scored; take it out of the list"):
            ProteinTable(folder / "deepcov", ["deepcov1"], canvas=64, crop=32).take(slice(None), ["y"])

    def test_features_of_another_protein_are_refused(self, folder):
        (folder / "psicov/features/psicov1.pkl").replace(folder / "psicov/features/psicov0.pkl")
        with pytest.raises(DataError, match=r"psicov0\.pkl is of 60 residues but .*psicov0-cb\.npy of 40"):
            ProteinTable(folder / "psicov", ["psicov0"], canvas=512, crop=128).take(slice(None), ["x"])

    def test_tiles_are_the_canvas_row_by_row(self, folder):
        whole = ProteinTable(folder / "psicov", ["psicov0", "psicov1"], canvas=128, crop=32)
        tiles = TileTable(whole, 32)
        assert (len(tiles), tiles.shape("y")) == (32, (32, 1, 32, 32))
        y = whole.take(slice(None), ["y"])["y"]
        got = tiles.take(np.array([21, 2, 17]), ["y", "id"])
        assert got["id"].tolist() == [1, 0, 1]
        np.testing.assert_array_equal(got["y"][0], y[1, :, 32:64, 32:64])
        np.testing.assert_array_equal(got["y"][1], y[0, :, 0:32, 64:96])
        np.testing.assert_array_equal(got["y"][2], y[1, :, 0:32, 32:64])


def test_who_is_for_validation_depends_on_the_protocol(folder, tmp_path):
    clean, nb360, dash = (prepared("psicov", tmp_path, p) for p in ("clean", "nb360-official", "dash-official"))
    assert [len(part) for part in (clean.train, clean.validation, clean.development, clean.test)] == [5, 1, 6, 3]
    assert [len(part) for part in (nb360.train, nb360.validation, nb360.development, nb360.test)] == [5, 16, 6, 48]
    assert [len(part) for part in (dash.train, dash.validation, dash.development, dash.test)] == [6, 2, 6, 3]
    assert dash.validation.fields["length"].tolist() == [60, 50]
    assert clean.validation.spec.spatial_shape == (512, 512)
    assert nb360.validation.spec.spatial_shape == (128, 128)


def test_an_empty_list_is_refused(folder, tmp_path):
    (folder / "psicov.lst").write_text("\n")
    with pytest.raises(DataError, match=r"psicov\.lst holds no names; expected one a line"):
        prepared("psicov", tmp_path)
