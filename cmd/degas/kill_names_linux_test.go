package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// killEnv makes TestKilledAtEveryName run, which takes minutes.
const killEnv = "DEGAS_KILL_NAMES"

// nameCase is a command that writes, and what must be true after it was killed.
type nameCase struct {
	name   string
	before []string // commands that make what it begins with, beside what the cases before it needed
	args   string
	// again goes on after a kill if the same command refuses to, because it had come far enough.
	again string
	// whole are folders of which all files are the old ones or the new ones. Any other file is one of its own.
	whole []string
	// read is a command that reads the output and so finishes what a killed process began. It may fail.
	read string
	// twice is set if doing it again changes what it has done.
	twice bool
}

// nameCases are in order: each begins with the files that the commands before it, in before, made. The folder www is on
// a server at WWW.
var nameCases = []nameCase{
	{name: "download-data sample", args: "download-data --out sample"},
	{name: "download-data from a folder", args: "download-data tranco --from from --out raw2"},
	{name: "download-data from a server", args: "download-data WWW/list.txt WWW/lists.tar.gz --out raw2 " +
		"--format list --class dga --family x"},
	{name: "download-data again", before: []string{"download-data WWW/list.txt WWW/lists.tar.gz --out raw2 " +
		"--format list --class dga --family x"}, args: "download-data WWW/list.txt WWW/lists.tar.gz --out raw2 " +
		"--format list --class benign --update-checksums"},
	{name: "generate", args: generateArgs, whole: []string{"raw"}},
	{name: "generate again", before: []string{generateArgs}, args: generateArgs + " --seed 5", whole: []string{"raw"}},
	{name: "process-data", args: "process-data raw", whole: []string{"data/processed"}, read: "inspect"},
	{name: "process-data again", before: []string{"process-data raw --seed 2"}, args: "process-data raw",
		whole: []string{"data/processed"}, read: "inspect"},
	{name: "process-data in shards", before: []string{"process-data raw"}, args: "process-data raw --shards 2",
		whole: []string{"data/processed"}, read: "inspect"},
	{name: "process-data in fewer shards", before: []string{"process-data raw --shards 2"},
		args: "process-data raw --shards 1", whole: []string{"data/processed"}, read: "inspect"},
	{name: "process-data without shards", before: []string{"process-data raw --shards 2"}, args: "process-data raw",
		whole: []string{"data/processed"}, read: "inspect"},
	{name: "convert", args: "convert data/processed converted"},
	{name: "convert again", before: []string{"convert data/processed converted", "process-data raw"},
		args: "convert data/processed converted"},
	{name: "inspect", args: "inspect --plot inspected.png"},
	{name: "train-model", args: "train-model --run r" + smallTraining,
		again: "train-model --run r --resume" + smallTraining, whole: []string{"runs/r/model"}},
	{name: "tune", args: "tune tune.yaml"},
	{name: "evaluate-model", before: []string{"train-model --run r" + smallTraining},
		args: "evaluate-model runs/r --no-baselines", whole: []string{"runs/r/evaluation"}},
	{name: "evaluate-model again", before: []string{"evaluate-model runs/r --no-baselines --split validation"},
		args: "evaluate-model runs/r --no-baselines", whole: []string{"runs/r/evaluation"}},
	{name: "protocol", args: protocolArgs},
	{name: "protocol again", before: []string{protocolArgs + " --epochs 2"}, args: protocolArgs},
	{name: "choose-threshold", args: "choose-threshold runs/r --fpr 0.1", whole: []string{"runs/r/model"}},
	{name: "calibrate", before: []string{"choose-threshold runs/r --fpr 0.1"}, args: "calibrate runs/r --force",
		whole: []string{"runs/r/model"}, twice: true},
	{name: "export-model", args: "export-model runs/r --to e/1", whole: []string{"e/1"},
		again: "export-model runs/r --to e/1 --overwrite"},
	{name: "export-model again", before: []string{"export-model runs/r --to e/1", "calibrate runs/r --force"},
		args: "export-model runs/r --to e/1 --overwrite", whole: []string{"e/1"}},
	{name: "publish-model", args: "publish-model e/1 --to store --name m --force", whole: []string{"store/m/1"}},
	{name: "publish-model again", before: []string{"publish-model e/1 --to store --name m",
		"publish-model e/1 --to store --name m --version 2", "export-model runs/r --to e/1 --overwrite"},
		args:  "publish-model e/1 --to store --name m --version 2 --force --keep 1",
		whole: []string{"store/m/1", "store/m/2"}},
	{name: "import-model", args: "import-model e/1/model.h5 --run imported", whole: []string{"runs/imported/model"},
		again: "predict runs/imported example.com"},
	{name: "compare", args: "compare runs/r runs/r --out compared", whole: []string{"compared"}},
	{name: "run", args: "run q.yaml", whole: []string{"q/processed", "q/1", "runs/q/model"},
		read: "inspect q/processed"},
}

const (
	generateArgs = "generate --family necurs --family iodine --family banjori --count 150 --layout umudga --out raw"
	protocolArgs = "evaluate-model runs/r --protocol kfold --folds 2 --epochs 1"
)

const killTune = `version: 1
data: data/processed
out: tuned
trials: 2
min_epochs: 1
max_epochs: 2
eta: 2
options: {names: 200}
search:
  arch: {choice: [mlbridge]}
  batch_size: {choice: [64, 128]}
`

const killPipeline = `version: 1
name: q
download: {sources: [tranco], from: from, to: q/raw}
process: {in: raw, out: q/processed}
train: {run: runs/q, arch: mlbridge, options: {epochs: 1, names: 300}}
export: {to: q/1, formats: [hdf5]}
`

// Killed before any call that changes a name, a command leaves of each output the old version or the new one. Run
// again, it ends, with the files of an undisturbed run and no others.
func TestKilledAtEveryName(t *testing.T) {
	if os.Getenv(killEnv) == "" {
		t.Skip("scripts/kill-names runs it")
	}
	began := time.Now()
	world := t.TempDir()
	www := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(world, "www"))))
	defer www.Close()
	writeWorld(t, world)
	t.Run("each", func(t *testing.T) {
		for _, c := range nameCases {
			for _, args := range append(c.before, "") {
				if args != "" {
					c.mustRun(t, world, www.URL, args)
				}
			}
			before := filepath.Join(t.TempDir(), "before")
			if err := os.CopyFS(before, os.DirFS(world)); err != nil {
				t.Fatal(err)
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.check(t, before, www.URL)
			})
		}
	})
	t.Logf("%.0f s", time.Since(began).Seconds())
}

// writeWorld writes what no command makes.
func writeWorld(t *testing.T, dir string) {
	t.Helper()
	var archive, list bytes.Buffer
	for i := range 20 {
		fmt.Fprintf(&list, "%d,example%d.com\n", i+1, i)
	}
	z := gzip.NewWriter(&archive)
	w := tar.NewWriter(z)
	for _, name := range []string{"a.txt", "b.txt"} {
		text := "a" + name + ".com\n"
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"tune.yaml": killTune, "q.yaml": killPipeline, "www/list.txt": "a.com\nb.com\n", "from/top-1m.csv.zip": list.String(),
		"www/lists.tar.gz": archive.String(),
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *nameCase) arguments(server, args string) []string {
	return strings.Fields(strings.ReplaceAll(args, "WWW", server))
}

func (c *nameCase) run(t *testing.T, dir, server, args string) error {
	t.Helper()
	p, out := degasProcess(t, dir, c.arguments(server, args)...)
	p.Env = append(p.Env, "GOMAXPROCS=1")
	if err := p.Run(); err != nil {
		return fmt.Errorf("degas %s: %w: %s", args, err, out)
	}
	return nil
}

func (c *nameCase) mustRun(t *testing.T, dir, server, args string) {
	t.Helper()
	if err := c.run(t, dir, server, args); err != nil {
		t.Fatal(err)
	}
}

// check kills c at its calls, in copies of before.
func (c *nameCase) check(t *testing.T, before, server string) {
	began, args := time.Now(), c.arguments(server, c.args)
	undisturbed := copied(t, before)
	calls, _, _ := tracedDegas(t, undisturbed, 0, args...)
	if c.read != "" {
		c.mustRun(t, undisturbed, server, c.read)
	}
	old, want := files(t, before), files(t, undisturbed)
	if c.twice {
		c.mustRun(t, undisturbed, server, c.args)
	}
	twice, kills := files(t, undisturbed), 0
	for n := range calls {
		dir := copied(t, before)
		done, killed, said := tracedDegas(t, dir, n+1, args...)
		if !killed {
			continue // its threads made fewer calls this time
		}
		kills++
		at := fmt.Sprintf("killed at call %d, %s", n+1, done[len(done)-1])
		if c.read != "" {
			_ = c.run(t, dir, server, c.read)
		}
		c.oldOrNew(t, at, files(t, dir), old, want)
		err := c.run(t, dir, server, c.args)
		if err != nil && c.again != "" {
			err = c.run(t, dir, server, c.again)
		}
		if err != nil {
			t.Errorf("%s: run again: %v (killed: %s)", at, err, said)
		} else if diff := differences(files(t, dir), want); len(diff) > 0 &&
			(!c.twice || len(differences(files(t, dir), twice)) > 0) {
			t.Errorf("%s: after it ran again, these files are not as after an undisturbed run: %q", at, diff)
		}
		os.RemoveAll(dir)
	}
	t.Logf("%s: killed at %d of %d calls, %.1f s", c.name, kills, len(calls), time.Since(began).Seconds())
	if kills == 0 {
		t.Error("never killed")
	}
}

var (
	// timed are files that hold times or grow, unseen are files that only degas looks at while it works.
	timed = regexp.MustCompile(`/history\.jsonl$|/checkpoint/|/events\.|^tuned/tune\.json$|/protocols/|^\.degas/`)
	// between are files that tell the next download what an earlier one did.
	between = regexp.MustCompile(`\.part(\.json)?$|/checksums\.json$|/lists\.tar\.gz$|^tuned/trial-`)
	unseen  = regexp.MustCompile(`(^|/)\.[^/]*`)
	locks   = regexp.MustCompile(`(^|/)\.degas-[^/]*lock$|/events\.`)
)

func copied(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// oldOrNew checks what a killed command has left for people to see.
func (c *nameCase) oldOrNew(t *testing.T, at string, now, old, want map[string]string) {
	t.Helper()
	for _, dir := range c.whole {
		seen := func(tree map[string]string) map[string]string {
			in := maps.Clone(tree)
			maps.DeleteFunc(in, func(name, _ string) bool {
				return !strings.HasPrefix(name, dir+"/") || unseen.MatchString(name)
			})
			return in
		}
		if got := seen(now); !maps.Equal(got, seen(old)) && !maps.Equal(got, seen(want)) {
			t.Errorf("%s: %s is neither the old one nor the new one", at, dir)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(merged(now, old, want))) {
		text, there := now[name]
		was, before := old[name]
		is, after := want[name]
		switch {
		case unseen.MatchString(name) || there && (before && text == was || after && text == is):
		case timed.MatchString(name) || between.MatchString(name):
			if there && strings.HasSuffix(name, ".json") && !json.Valid([]byte(text)) {
				t.Errorf("%s: %s is no JSON", at, name)
			}
		case there || before && after:
			t.Errorf("%s: %s is neither the old one nor the new one (there: %t)", at, name, there)
		}
	}
}

func merged(trees ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, tree := range trees {
		maps.Copy(all, tree)
	}
	return all
}

// differences names the files in which two directories differ.
func differences(now, want map[string]string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(merged(now, want))) {
		text, there := now[name]
		is, wanted := want[name]
		if !locks.MatchString(name) && (there != wanted || text != is && !timed.MatchString(name)) {
			names = append(names, name)
		}
	}
	return names
}
