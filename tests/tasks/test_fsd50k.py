"""FSD50K: chunks, spectrograms and what training makes of them; raw clips give the chunks that files would hold."""

import numpy as np
import pytest
from scipy.io import wavfile
from tiny_official import fsd50k_clips, make, prepared

from dashnas.errors import DataError
from dashnas.tasks.nb360.clips import ClipFiles, cut, read_sound, starts
from dashnas.tasks.nb360.log_mel import log_mel
from dashnas.tasks.nb360.sounds import cropped, masked


class TestLogMel:
    def test_a_second_is_96_bands_by_101_frames_of_mean_zero(self):
        got = log_mel(np.random.default_rng(0).normal(size=22050))
        assert (got.shape, got.dtype) == ((96, 101), np.float32)
        assert got.mean() == pytest.approx(0, abs=1e-4)

    @pytest.mark.parametrize("kind", ["noise", "tone", "silence"])
    def test_it_is_that_of_librosa(self, kind):
        import librosa

        sound = {
            "noise": np.random.default_rng(0).normal(size=22050),
            "tone": np.sin(np.arange(22050) * 0.3),
            "silence": np.zeros(22050),
        }[kind]
        power = librosa.feature.melspectrogram(
            y=sound, sr=22050, n_fft=1920, win_length=661, hop_length=220, window="hann", center=True,
            pad_mode="reflect", power=2.0, n_mels=96, fmin=0, fmax=11025, htk=True, norm=None,
        )  # fmt: skip
        decibels = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=80)
        np.testing.assert_allclose(log_mel(sound), decibels - decibels.mean(), atol=2e-3)


class TestChunks:
    def test_they_begin_every_half_second(self):
        assert starts(50_715) == [0, 11_025, 22_050, 33_075, 44_100]  # 2.3 s
        assert starts(22_049) == [0]

    def test_what_ends_early_is_repeated(self):
        sound = np.arange(50_715.0)
        last = cut(sound, 4)
        assert len(last) == 22_050
        np.testing.assert_array_equal(last[:6_615], sound[44_100:])
        np.testing.assert_array_equal(last[6_615:13_230], sound[44_100:])
        np.testing.assert_array_equal(cut(np.arange(10_000.0), 0)[10_000:20_000], np.arange(10_000.0))

    def test_clips_at_twice_the_rate_are_resampled(self, tmp_path):
        wavfile.write(tmp_path / "a.wav", 44_100, (10_000 * np.sin(np.arange(101_430) * 0.05)).astype(np.int16))
        sound = read_sound(tmp_path / "a.wav")
        assert len(sound) == 50_715
        middle = slice(1000, -1000)
        expected = 10_000 / 2**15 * np.sin(np.arange(50_715) * 0.1)
        np.testing.assert_allclose(sound[middle], expected[middle], atol=2e-3)
        clips = ClipFiles(np.zeros((1, 200)), [tmp_path / "a.wav"])
        assert clips.counts.tolist() == [5]
        np.testing.assert_array_equal(clips.chunk(0, 2), cut(sound, 2))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (np.zeros(10, np.float32), "samples of the type float32; expected a wave file of 16-bit integers"),
            (np.zeros(0, np.int16), "holds no samples"),
        ],
    )
    def test_other_wave_files_are_refused(self, content, message, tmp_path):
        wavfile.write(tmp_path / "a.wav", 22_050, content)
        with pytest.raises(DataError, match=message):
            read_sound(tmp_path / "a.wav")

    def test_what_is_no_wave_file_is_refused(self, tmp_path):
        (tmp_path / "a.wav").write_bytes(b"RIFF")
        with pytest.raises(DataError, match=r"a\.wav is damaged, cut short or no wave file"):
            read_sound(tmp_path / "a.wav")


class TestAugmentation:
    def test_masks_are_stripes_of_the_smallest_value(self):
        x = np.random.default_rng(0).normal(size=(96, 101))
        shares = []
        for seed in range(50):
            got = masked(x, np.random.default_rng(seed))
            changed = got != x
            assert (got[changed] == x.min()).all()
            bands, frames = changed.all(axis=1).sum(), changed.all(axis=0).sum()
            assert bands <= 2 * 14
            assert frames <= 2 * 20
            shares.append(changed.mean())
        assert max(shares) > 0.2

    @pytest.mark.parametrize("frames", [60, 101, 150])
    def test_a_crop_has_101_frames(self, frames):
        x = np.random.default_rng(0).normal(size=(96, frames))
        ways = [cropped(x, np.random.default_rng(seed)) for seed in range(20)]
        assert {way.shape for way in ways} == {(96, 101)}
        if frames == 60:
            fills = {("wrap" if (way[:, 60:] == x[:, :41]).all() else "minimum") for way in ways}
            assert fills == {"wrap", "minimum"}
            assert all((way[:, :60] == x).all() for way in ways)


@pytest.fixture
def folder(tmp_path):
    return make("fsd50k", tmp_path)


class TestTask:
    def test_training_has_a_row_per_clip_and_scoring_one_per_chunk(self, folder, tmp_path):
        got = prepared("fsd50k", tmp_path)
        assert (len(got.train), len(got.development), len(got.validation), len(got.test)) == (8, 8, 7, 7)
        assert got.test.open().fields["clip"].tolist() == [0, 1, 1, 2, 2, 2, 3]
        assert got.train.batch([4]).y[0].nonzero().flatten().tolist() == [1, 100]

    def test_dash_adds_a_column_of_zeros(self, folder, tmp_path):
        x = prepared("fsd50k", tmp_path, "dash-official").validation.batch([0]).x
        assert x.shape == (1, 1, 96, 102)
        assert (x[..., 101] == 0).all()
        np.testing.assert_array_equal(x[..., :101], prepared("fsd50k", tmp_path).validation.batch([0]).x)

    def test_noise_is_mixed_in_three_quarters_of_the_time(self, folder, tmp_path, monkeypatch):
        from dashnas.tasks.nb360 import sounds

        drawn = []
        monkeypatch.setattr(
            sounds.ClipTable, "_draw_noise", lambda self, random: drawn.append(1) or np.zeros((96, 101))
        )
        part = prepared("fsd50k", tmp_path).train
        for seed in range(10):
            part.batch(np.arange(8), seed=seed)
        assert 45 <= len(drawn) <= 75

    def test_without_noise_none_is_mixed_in_and_that_is_said(self, folder, tmp_path):
        (folder / "noise_22050/n.wav").unlink()
        (warning,) = prepared("fsd50k", tmp_path).warnings
        assert warning.startswith("no noise is mixed in, since there is none in ")

    def test_raw_clips_are_cut_here(self, tmp_path):
        (tmp_path / "fsd50k").mkdir()
        fsd50k_clips(tmp_path / "fsd50k", np.random.default_rng(0))
        got = prepared("fsd50k", tmp_path)
        assert (len(got.train), len(got.validation), len(got.test)) == (6, 1 + 3 + 5, 1 + 3 + 5)
        assert got.train.batch([1], seed=0).x.shape == (1, 1, 96, 101)

    @pytest.mark.parametrize(
        ("file", "text", "message"),
        [
            ("tr.csv", "files,labels\na,b\n", r"tr\.csv has no column 'ext'; found: files, labels"),
            ("tr.csv", "files,labels,ext\n", r"tr\.csv lists nothing"),
            ("tr.csv", 'files,labels,ext\nnone.wav,"label1",1\n', r"lists none\.wav, which is not below .*unpack the"),
            (
                "tr.csv",
                'files,labels,ext\ntr0_0000.wav,"barking",1\n',
                "has a label 'barking', which the list of",
            ),
            ("lbl_map.json", '{"a": 0, "b": 1}', "has a label 'label0', which the list of labels lacks"),
            ("lbl_map.json", "[1]", r"lbl_map\.json cannot be read as a map from labels to numbers"),
        ],
    )
    def test_other_content_is_refused(self, file, text, message, folder, tmp_path):
        (folder / "chunks" / file).write_text(text)
        with pytest.raises(DataError, match=message):
            prepared("fsd50k", tmp_path)
