package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/unpack"
)

// A mutated file is given to degas in at most this much memory, and degas must end within this time.
const mutantKiB, mutantTime = 2 << 20, 30 * time.Second

// victim is a file that a stranger may have made, and the command that reads it. %s is a folder for output.
type victim struct {
	file, command string
	sealed        bool // a split, whose checksum the stranger writes into dataset.json
}

var victims = []victim{
	{file: "runs/r/model/model.json", command: "predict runs/r google.com"},
	{file: "runs/r/model/model.safetensors", command: "predict runs/r google.com"},
	{file: "runs/r/model/model.json", command: "export-model runs/r --to %s --format all"},
	{file: "runs/r/config.yaml", command: "evaluate-model runs/r --no-baselines --out %s"},
	{file: "runs/r/config.yaml", command: "train-model --run r --resume"},
	{file: "runs/r/history.jsonl", command: "evaluate-model runs/r --no-baselines --out %s"},
	{file: "runs/r/checkpoint/checkpoint.json", command: "train-model --run r --resume"},
	{file: "runs/r/checkpoint/epoch-0001.safetensors", command: "train-model --run r --resume"},
	{file: "e/1/model.h5", command: "import-model e/1/model.h5 --run new"},
	{file: "e/1/SHA256SUMS", command: "publish-model e/1 --to %s --name m"},
	{file: "e/1/model.json", command: "serve e/1 --addr bad"},
	{file: "spec.json", command: "train-model --arch spec.json --epochs 1 --names 300 --batch-size 16 --run new"},
	{file: "run.yaml", command: "run --dry-run run.yaml"},
	{file: "tune.yaml", command: "tune tune.yaml"},
	{file: "data/processed/dataset.json", command: "inspect"},
	{file: "data/processed/dataset.json", command: "train-model --arch mlbridge --epochs 1 --names 300 --run new"},
	{file: "data/processed/train.arrow", command: "inspect", sealed: true},
	{file: "data/processed/test.arrow", command: "evaluate-model runs/r --no-baselines --out %s", sealed: true},
	{file: "data/shards/dataset.json", command: "inspect data/shards"},
	{file: "data/shards/train-00001-of-00002.arrow", command: "inspect data/shards", sealed: true},
	{file: "raw/table/a.csv", command: "process-data raw/table %s"},
	{file: "raw/gz/a.csv.gz", command: "process-data raw/gz %s"},
	{file: "raw/parquet/train.parquet", command: "process-data raw/parquet %s"},
	{file: "raw/zip/a.zip", command: "process-data raw/zip %s"},
	{file: "raw/side/a.txt.degas.json", command: "process-data raw/side %s"},
}

// mutantSources makes every file of victims below dir.
func mutantSources(t *testing.T, dir string) {
	t.Helper()
	files := map[string]string{
		"run.yaml": "version: 1\nname: q\nprocess: {in: raw/table, out: data/q, seed: 3, max_bad: 0.02}\n" +
			"train: {run: runs/q, arch: mlbridge, options: {epochs: 1, names: 300, batch_size: 64}}\nexport: {to: e/q}\n",
		"tune.yaml": "version: 1\ntrials: 1\nmax_epochs: 1\noptions: {names: 300, batch_size: 64}\n" +
			"search: {filters: {choice: [4, 8]}, learning_rate: {min: 0.001, max: 0.01}}\n",
		"raw/table/a.csv":           "",
		"raw/side/a.txt":            strings.Repeat("a.example\n", 50),
		"raw/side/a.txt.degas.json": `{"format": "list", "class": "dga", "family": "conficker", "source": "mine"}`,
	}
	for i := range 2000 {
		files["raw/table/a.csv"] += fmt.Sprintf("n%dx.com,%s,%d\n", i*i, []string{"benign", "dga"}[i%2], i)
	}
	files["raw/table/a.csv"] = "domain,class,rank\n" + files["raw/table/a.csv"]
	var packed, zipped bytes.Buffer
	z := gzip.NewWriter(&packed)
	archive := zip.NewWriter(&zipped)
	member, err := archive.Create("a.csv")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []interface{ Write([]byte) (int, error) }{z, member} {
		if _, err := w.Write([]byte(files["raw/table/a.csv"])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), archive.Close()); err != nil {
		t.Fatal(err)
	}
	files["raw/gz/a.csv.gz"], files["raw/zip/a.zip"] = packed.String(), zipped.String()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{"process-data raw/table", "process-data raw/table data/shards --shards 2",
		"train-model --arch mlbridge --epochs 1 --names 300 --run r", "export-model runs/r --to e/1 --format hdf5",
		"convert data/processed raw/parquet --format parquet"} {
		if c, out := degasProcess(t, dir, strings.Fields(line)...); c.Run() != nil {
			t.Fatalf("%s: %s", line, out)
		}
	}
	spec, err := os.ReadFile(filepath.Join(dir, "runs/r/model/model.json"))
	if err != nil {
		t.Fatal(err)
	}
	from, to := bytes.Index(spec, []byte(`"spec": `)), bytes.Index(spec, []byte(`"threshold"`))
	spec = bytes.TrimRight(spec[from+len(`"spec": `):to], ", \n")
	if err := os.WriteFile(filepath.Join(dir, "spec.json"), spec, 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	numbers = regexp.MustCompile(`-?\d+(\.\d+)?`)
	// values replace a number of a text.
	values = []string{"-1", "0", "4611686018427387904", "18446744073709551616", "1e308", "1e999", "NaN", ".nan", "65537",
		"9999999", "2147483648", "null", `""`, "[]", "{}"}
	// patterns replace bytes of a binary file.
	patterns = []string{"\xff\xff\xff\xff", "\xff\xff\xff\x7f", "\x00\x00\x00\x00\x00\x00\x00\x40", "\x00\x00\x00\x00",
		"\xff\xff\xff\xff\xff\xff\xff\x7f", "\x00\x00\xc0\x7f", "\x00\x00\x00\x80\xff\xff\xff\xff"}
)

// mutate changes the file at path and says how.
func mutate(rng *rand.Rand, path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	position := func() int { // half of them in the first or last kilobyte, where headers and footers are
		switch n := len(data); rng.IntN(4) {
		case 0:
			return rng.IntN(min(n, 1024))
		case 1:
			return n - 1 - rng.IntN(min(n, 1024))
		default:
			return rng.IntN(n)
		}
	}
	text := !bytes.ContainsAny(data[:min(len(data), 1024)], "\x00\x01\x02")
	how := ""
	switch kind := rng.IntN(10); {
	case kind == 0:
		at := position()
		how, data = fmt.Sprintf("cut off at %d", at), data[:at]
	case kind == 1:
		how = "followed by a hole"
		return how, os.Truncate(path, 64<<30)
	case kind == 2:
		from := position()
		to := min(from+1+rng.IntN(200), len(data))
		how = fmt.Sprintf("bytes %d to %d twice", from, to)
		data = bytes.Join([][]byte{data[:to], data[from:]}, nil)
	case kind == 3:
		at, open := position(), []string{"[", "{", `{"a":`, "(", "- "}[rng.IntN(5)]
		how = fmt.Sprintf("many %s at %d", open, at)
		data = bytes.Join([][]byte{data[:at], bytes.Repeat([]byte(open), 200_000), data[at:]}, nil)
	case kind == 4 && text:
		lines := bytes.SplitAfter(data, []byte("\n"))
		i := rng.IntN(len(lines))
		how = fmt.Sprintf("line %d a thousand times", i+1)
		lines[i] = bytes.Repeat(lines[i], 1000)
		data = bytes.Join(lines, nil)
	case kind < 8 && text:
		if all := numbers.FindAllIndex(data, -1); len(all) > 0 {
			at, value := all[rng.IntN(len(all))], values[rng.IntN(len(values))]
			how = fmt.Sprintf("%s at %d is %s", data[at[0]:at[1]], at[0], value)
			data = bytes.Join([][]byte{data[:at[0]], []byte(value), data[at[1]:]}, nil)
		}
	case kind < 8:
		at, pattern := position(), patterns[rng.IntN(len(patterns))]
		how = fmt.Sprintf("%q at %d", pattern, at)
		copy(data[at:], pattern)
	default:
		for range 1 + rng.IntN(8) {
			at, bit := position(), rng.IntN(8)
			how += fmt.Sprintf("bit %d of %d ", bit, at)
			data[at] ^= 1 << bit
		}
	}
	return how, os.WriteFile(path, data, 0o644)
}

// seal writes the size and the checksum of a split into dataset.json, as whoever changed the split would.
func seal(path string) error {
	sum, size, err := unpack.SHA256(context.Background(), path)
	if err != nil {
		return err
	}
	manifest := filepath.Join(filepath.Dir(path), datasets.ManifestName)
	data, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	var m datasets.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	for i := range m.Splits {
		s := &m.Splits[i]
		if s.File == filepath.Base(path) {
			s.Bytes, s.SHA256 = size, sum
		}
		var shards []datasets.SplitReport
		for _, f := range s.Shards {
			if f.File == filepath.Base(path) {
				f.Bytes, f.SHA256 = size, sum
			}
			shards = append(shards, datasets.SplitReport{Bytes: f.Bytes, Shards: []datasets.SplitFile{f}})
		}
		if len(shards) > 0 {
			joined := datasets.JoinShards(shards)
			s.Bytes, s.SHA256, s.Shards = joined.Bytes, joined.SHA256, joined.Shards
		}
	}
	if data, err = m.Encode(); err != nil {
		return err
	}
	return os.WriteFile(manifest, data, 0o644)
}

// Whatever a stranger's file says, degas ends soon, in bounded memory, with an answer or one line that says what is
// wrong, and without a run that cannot be used. DEGAS_MUTANTS is the number of mutants of each victim (default 2), and
// DEGAS_SEED repeats a failure:
//
//	DEGAS_MUTANTS=100 DEGAS_SEED=1 go test -run TestMutants -timeout 1h ./cmd/degas
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector takes more memory than the mutants may")
	}
	number := func(name string, usual int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return usual
	}
	sources := t.TempDir()
	mutantSources(t, sources)
	for i, v := range victims {
		for k := range number("DEGAS_MUTANTS", 2) {
			t.Run(fmt.Sprintf("%s/%s/%d", v.file, strings.Fields(v.command)[0], k), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(number("DEGAS_SEED", 1)), uint64(i<<32+k)))
				checkMutant(t, sources, v, rng)
			})
		}
	}
}

// checkMutant mutates the victim's file in a copy of sources and runs its command.
func checkMutant(t *testing.T, sources string, v victim, rng *rand.Rand) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(sources)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, v.file)
	how, err := mutate(rng, path)
	if err == nil && v.sealed && how != "followed by a hole" { // its checksum would take minutes
		err = seal(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), mutantTime)
	defer cancel()
	args := strings.Fields(strings.ReplaceAll(v.command, "%s", "out/1"))
	limited := fmt.Sprintf(`ulimit -v %d; exec "$0" -q "$@"`, mutantKiB)
	c := exec.CommandContext(ctx, "sh", append([]string{"-c", limited, exe}, args...)...)
	var said bytes.Buffer
	c.Dir, c.Stderr = dir, &said
	// Training takes many names at once, and so a Spec of fewer activations.
	c.Env = append(os.Environ(), degasEnv+"=1", "DEGAS_MAX_ACTIVATIONS=1000000")
	_ = c.Run() // the exit status says it
	code := c.ProcessState.ExitCode()
	message := strings.TrimSpace(said.String())
	fail := func(what string) {
		t.Errorf("%s: %s\n%s, exit status %d: %.3000s", what, how, v.command, code, message)
	}
	switch {
	case ctx.Err() != nil:
		fail("it goes on")
	case code < 0 || strings.Contains(message, "goroutine ") || strings.Contains(message, "fatal error"):
		fail("it ended the process")
	case code != 0 && (!strings.HasPrefix(message, "degas: ") || strings.Contains(message, "\n")):
		fail("not one line")
	case len(message) > 2000:
		fail("a long message")
	}
	if _, stat := os.Stat(filepath.Join(dir, "runs/new")); code != 0 && !errors.Is(stat, fs.ErrNotExist) {
		fail("it left a run")
	}
}
