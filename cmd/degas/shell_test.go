package main

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestMeantCommands(t *testing.T) {
	names := visible((&command{}).app())
	for given, want := range map[string]string{
		"train":       "train-model",
		"evaluate":    "evaluate-model",
		"export":      "export-model",
		"evaluation":  "evaluate-model",
		"training":    "train-model",
		"threshold":   "choose-threshold",
		"trian-model": "train-model",
		"proces-data": "process-data",
		"processing":  "process-data",
		"serving":     "serve",
		"des":         "describe",
		"de":          "describe devices",
		"models":      "model",
		"frobnicate":  "",
		"":            "",
	} {
		if got := strings.Join(meantCommands(given, names), " "); got != want {
			t.Errorf("%q: meant %q, want %q", given, got, want)
		}
	}
}

// Flags may stand behind arguments, and degas' own flags behind the command.
func TestIntersperse(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"train-model data --epochs 5", "train-model --epochs 5 -- data"},
		{"train-model data --epochs=5", "train-model --epochs=5 -- data"},
		{"train-model data --quiet", "--quiet train-model -- data"},
		{"train-model --log-format json -q data", "--log-format json -q train-model -- data"},
		{"train-model --log-format=json", "--log-format=json train-model"},
		{"--verbose train-model --quiet", "--verbose --quiet train-model"},
		{"predict -- --quiet", "predict -- --quiet"},
		{"predict a -- --json", "predict -- a --json"},
		{"--log-format json predict a", "--log-format json predict -- a"},
		{"frobnicate --quiet", "frobnicate --quiet"},
		{"train-model --qu " + completionFlag, "train-model --qu " + completionFlag},
	} {
		app := (&command{}).app()
		got, err := intersperse(app, append([]string{"degas"}, strings.Fields(tc.args)...))
		if want := append([]string{"degas"}, strings.Fields(tc.want)...); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, error %v, want %q", tc.args, got, err, want)
		}
	}
	for _, args := range []string{"train-model --epochs", "train-model --log-format"} {
		_, err := intersperse((&command{}).app(), append([]string{"degas"}, strings.Fields(args)...))
		if err == nil || !strings.Contains(err.Error(), "needs a value") {
			t.Errorf("%s: error %v", args, err)
		}
	}
}

// What a shell asks for must never run the command: behind "--" urfave/cli would.
func TestCompletionRunsNothing(t *testing.T) {
	var out, errOut bytes.Buffer
	args := []string{"degas", "predict", "--", "google.com", completionFlag}
	if code := run(context.Background(), args, strings.NewReader(""), &out, &errOut); code != 0 || out.Len() > 0 {
		t.Errorf("status %d, printed %q and %q", code, out.String(), errOut.String())
	}
}

// A sentence of --help that is longer has to be read twice.
func TestHelpIsPlain(t *testing.T) {
	const most = 30 // words
	plain := func(where, text string) {
		for line := range strings.SplitSeq(text, "\n\n") {
			for _, s := range regexp.MustCompile(`[.!?:;]["')]*(\s|$)`).Split(line, -1) {
				if n := len(strings.Fields(s)); n > most {
					t.Errorf("%s: a sentence of %d words: %s", where, n, s)
				}
			}
		}
	}
	for _, c := range (&command{}).app().Commands {
		plain(c.Name, c.Usage)
		if !strings.Contains(c.Description, "  ") { // a table
			plain(c.Name, c.Description)
		}
		for _, f := range c.Flags {
			if d, ok := f.(cli.DocGenerationFlag); ok {
				plain(c.Name+" --"+f.Names()[0], d.GetUsage())
			}
		}
	}
}
