package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a config says is checked when it is read. The error names the line, and what is known.
func TestConfigErrors(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"train:\n  options: {epochs: five}\n",
			"line 4: epochs: want a whole number"},
		{"train:\n  epochs: 5\n",
			"line 4: unknown field \"epochs\". It belongs in train's opt"},
		{"train:\n  arch: cn\n",
			`line 4: train.arch: unknown preset "cn" (did you mean cnn?)`},
		{"train: {target: malware}\n",
			"line 3: train.target: unknown target \"malware\", known are: binary, class, family"},
		{"train: {engine: gpu}\n",
			`line 3: train.engine: unknown engine "gpu"`},
		{"train: {target: family, options: {invent: 0.1}}\n",
			"an invented name has no family"},
		{"export: {run: r, formats: [onx]}\n",
			"line 3: export.formats[0]: unknown export format"},
		{"download:\n  sources:\n  - sample\n  - trancoo\n",
			"line 6: download.sources[1]: unknown source"},
		{"protocol: {run: r, kinds: [leave-out]}\n",
			"line 3: protocol.kinds[0]: unknown protocol"},
		{"protocol: {run: r, kinds: [kfold], folds: 1}\n",
			"line 3: protocol.folds: 1 folds"},
		{"threshold: {run: r, fpr: 0.1, value: 0.5}\n",
			"give one of fpr, worst_source, value and of"},
		{"train: {from: builtin, arch: cnn}\n",
			"line 3: train.arch: from has its own architecture"},
		{"train: {from: builtin, target: kind}\n",
			"line 3: train.target: unknown target \"kind\""},
		{"train: {from: builtin, options: {focus_share: 0.1}}\n",
			"line 3: train.options.focus_share: focus-share 0.1: it needs a focus"},
		{"download:\n  sources: ['console:ftp://x:hidden@h']\n",
			"line 4: download.sources[0]: source console: its address is no URL"},
		{"compare: {run: r, fail_if: [f1<0]}\n",
			"line 3: compare.fail_if[0]: condition \"f1<0\": a comparison has no such metric"},
		{"publish: {from: m/1, to: 'https://h/m', shadow: true}\n",
			"line 3: publish.shadow: a candidate goes to a store, "},
		{"publish: {from: m/1, to: s, shadow: true, version: 3}\n",
			"leave version and replace out"},
		{"threshold: {run: r, fpr: 2}\n",
			"line 3: threshold.fpr: 2: must be above 0 and below 1"},
		{"train: {}\nthreshold: {worst_source: true}\n",
			"it needs a protocol stage with kinds: [leave-benign-out]"},
		{"calibrate: {run: r, split: test}\n",
			"line 3: calibrate.split: unknown split \"test\", known are: validation, train"},
		{"calibrate: {run: r}\nthreshold: {run: q, fpr: 0.1}\n",
			"calibrate has another run, r"},
		{"calibrate: {run: builtin}\n",
			"cannot be changed"},
		{"evaluate: {run: r}\ngate: {}\n",
			"give fail_if"},
		{"evaluate: {run: r}\ngate:\n  fail_if: [acu<1]\n",
			"line 5: gate.fail_if[0]: condition \"acu<1\""},
		{"gate: {fail_if: [auc<1]}\n",
			"it needs an evaluate stage"},
		{"train: {run: builtin}\n",
			"line 3: train.run: builtin: that is the built-in model's name"},
		{"train: {run: runs/r, options: {teacher: runs/../runs/r/}}\n",
			"line 3: train.options.teacher: runs/../runs/r/ is the run itself"},
		{"train: {run: runs/r, options: {teacher: runs/r/model}}\n",
			"is the run itself"},
		{"protocol: {run: builtin, kinds: [kfold]}\n",
			"line 3: protocol.run: a protocol trains a run's recipe again"},
		{"publish: {from: m/1}\n",
			"give to"},
		{"publish: {from: m/1, to: 'ftp://x'}\n",
			"line 3: publish.to: unknown scheme \"ftp\""},
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte("version: 1\nname: x\n"+tc.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadConfig(path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: error %v, want %q", tc.text, err, tc.want)
		}
	}
}

// A disk that is too full for a stage is found before anything runs: 2 bytes a byte of raw files for process, and 64
// MiB.
func TestCheckDisks(t *testing.T) {
	raw := t.TempDir()
	if err := os.WriteFile(filepath.Join(raw, "a.txt"), make([]byte, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &Config{Download: &DownloadConfig{To: raw}, Process: &ProcessConfig{In: raw, Out: "out"},
		Train: &TrainConfig{Run: "run"}, Evaluate: &EvaluateConfig{Out: "eval"}, Export: &ExportConfig{To: "to"}}
	for _, tc := range []struct {
		free int64
		ok   bool
		want string
	}{
		{0, false, ""},
		{70 << 20, true, ""},
		{69 << 20, true, "process.out: out: its disk has 69 MiB free, and at least 70 MiB are needed. Try: make room"},
		{1 << 20, true, "export.to: to: its disk has 1 MiB free, and at least 64 MiB are needed"},
	} {
		f := &files{}
		f.disks(c, func(string) (int64, bool) { return tc.free, tc.ok })
		err := errors.Join(f.errs...)
		if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%d MiB: %v, want %q", tc.free>>20, err, tc.want)
		}
	}
}
