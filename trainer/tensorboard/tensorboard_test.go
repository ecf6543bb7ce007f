package tensorboard

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir string) {
	t.Helper()
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.Scalar(1, "loss/train", 0.5)
	w.Scalar(2, "loss/train", 0.25)
	w.PRCurve(2, "validation", []float64{0.1, 0.9, 0.6, 1}, []bool{false, true, false, true})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// Two files of one second have different names, and every record's checksums fit.
func TestRecords(t *testing.T) {
	dir := t.TempDir()
	write(t, dir)
	write(t, dir)
	files, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if len(files) != 2 {
		t.Fatalf("files: %v", files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	records := 0
	for len(data) > 0 {
		n := binary.LittleEndian.Uint64(data)
		if masked(data[:8]) != binary.LittleEndian.Uint32(data[8:]) ||
			masked(data[12:12+n]) != binary.LittleEndian.Uint32(data[12+n:]) {
			t.Fatalf("record %d: checksum", records)
		}
		data = data[16+n:]
		records++
	}
	if records != 4 {
		t.Errorf("%d records, want 4", records)
	}
}

func TestCounts(t *testing.T) {
	rows := counts([]float64{0.1, 0.9, 0.6, 1}, []bool{false, true, false, true})
	for _, c := range []struct {
		at   int
		want [6]float64
	}{
		{0, [6]float64{2, 2, 0, 0, 0.5, 1}},
		{63, [6]float64{2, 1, 1, 0, 2.0 / 3, 1}},
		{126, [6]float64{1, 0, 2, 1, 1, 0.5}},
	} {
		for k, want := range c.want {
			if rows[k][c.at] != want {
				t.Errorf("threshold %d, row %d: %g, want %g", c.at, k, rows[k][c.at], want)
			}
		}
	}
}

const reader = `
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
a = EventAccumulator(sys.argv[1]); a.Reload()
print([(e.step, e.value) for e in a.Scalars("loss/train")])
t = a.Tensors("validation")
m = a.SummaryMetadata("validation")
v = tensor_util.make_ndarray(t[0].tensor_proto)
print(m.plugin_data.plugin_name, t[0].step, v.shape, v[:, 0].tolist(), [round(float(x), 3) for x in v[:, 63]])
`

// TensorBoard itself reads the file back. It needs the Python environment of scripts/venv, $DEGAS_VENV.
func TestTensorBoardReads(t *testing.T) {
	venv := os.Getenv("DEGAS_VENV")
	if venv == "" {
		t.Skip("DEGAS_VENV is not set: see scripts/venv")
	}
	dir := t.TempDir()
	write(t, dir)
	out, err := exec.Command(filepath.Join(venv, "bin/python"), "-c", reader, dir).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "[(1, 0.5), (2, 0.25)]\npr_curves 2 (6, 127) [2.0, 2.0, 0.0, 0.0, 0.5, 1.0] [2.0, 1.0, 1.0, 0.0, 0.667, 1.0]"
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("TensorBoard read\n%s\nwant\n%s", got, want)
	}
}
