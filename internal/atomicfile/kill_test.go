package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The environment of a child process that replaces a directory and dies on the way.
const (
	childDir      = "DEGAS_ATOMICFILE_DIR"      // holds the directory "to"
	childStep     = "DEGAS_ATOMICFILE_STEP"     // the step before which the child kills itself, from 1
	childExchange = "DEGAS_ATOMICFILE_EXCHANGE" // "no" when names cannot be exchanged
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(replaceAndDie(dir))
	}
	os.Exit(m.Run())
}

// replaceAndDie replaces the directory to in dir by its new version, and kills this process before one of the steps.
func replaceAndDie(dir string) int {
	left, _ := strconv.Atoi(os.Getenv(childStep))
	step := func() {
		if left--; left == 0 {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {}
		}
	}
	two := func(f func(a, b string) error) func(a, b string) error {
		return func(a, b string) error { step(); return f(a, b) }
	}
	rename, exchange = two(rename), two(exchange)
	if os.Getenv(childExchange) == "no" {
		exchange = func(_, _ string) error { return errors.ErrUnsupported }
	}
	remove := removeAll
	removeAll = func(path string) error { step(); return remove(path) }
	if err := ReplaceDir(filepath.Join(dir, "to"), version("new")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// version fills a directory with two files that hold text.
func version(text string) func(stage string) error {
	return func(stage string) error {
		if err := os.Mkdir(filepath.Join(stage, "sub"), 0o755); err != nil {
			return err
		}
		return errors.Join(Write(filepath.Join(stage, "a"), []byte(text)),
			Write(filepath.Join(stage, "sub", "b"), []byte(text)))
	}
}

// wholeVersion returns the text of the version in dir, "" for none, and fails for a mixture or a part.
func wholeVersion(t *testing.T, dir string) string {
	t.Helper()
	a, err := os.ReadFile(filepath.Join(dir, "a"))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("%s is there without its files", dir)
		}
		return ""
	}
	b, err := os.ReadFile(filepath.Join(dir, "sub", "b"))
	if err != nil || string(a) != string(b) {
		t.Fatalf("%s is no whole version: %q, %q, %v", dir, a, b, err)
	}
	return string(a)
}

// A process that is killed before any step of a replacement leaves the old version or the new one: at once where names
// can be exchanged, else after what the next process does first.
func TestKilledReplacement(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	a, b := t.TempDir(), t.TempDir()
	for _, exchanges := range []string{"yes", "no"} {
		if exchanges == "yes" && exchange(a, b) != nil {
			t.Log("names cannot be exchanged here")
			continue
		}
		for next, begin := range map[string]func(dir, to string) error{
			"Recover":    func(_, to string) error { return Recover(to + "/") },
			"Sweep":      func(dir, _ string) error { return Sweep(dir) },
			"ReplaceDir": func(_, to string) error { return ReplaceDir(to, func(string) error { return errKept }) },
		} {
			t.Run("exchange "+exchanges+", "+next, func(t *testing.T) {
				left := map[string]int{}
				for step, died := 1, true; died; step++ {
					dir := t.TempDir()
					to := filepath.Join(dir, "to")
					if err := ReplaceDir(to, version("old")); err != nil {
						t.Fatal(err)
					}
					child := exec.Command(self)
					child.Env = append(os.Environ(), childDir+"="+dir, childStep+"="+strconv.Itoa(step),
						childExchange+"="+exchanges)
					out, err := child.CombinedOutput()
					if died = err != nil; len(out) > 0 {
						t.Fatalf("step %d: failed of itself: %s", step, out)
					}
					found := wholeVersion(t, to)
					left[found]++
					if err := begin(dir, to); err != nil && !errors.Is(err, errKept) {
						t.Fatal(err)
					}
					if got := wholeVersion(t, to); got == "" || found != "" && got != found {
						t.Errorf("step %d: %q came back, before that it was %q", step, got, found)
					}
					in, err := os.ReadDir(dir)
					in = slices.DeleteFunc(in, func(e fs.DirEntry) bool {
						// The lock has no meaning now. Another process may be at work in the other, for all that Sweep knows.
						return e.Name() == ".degas-to.lock" || next == "Sweep" && strings.HasSuffix(e.Name(), ".partial")
					})
					if next != "Recover" && (err != nil || len(in) != 1) {
						t.Errorf("step %d: %s left %v, %v", step, next, in, err)
					}
				}
				if left["old"] == 0 || left["new"] < 2 || (left[""] > 0) != (exchanges == "no") {
					t.Errorf("versions found after the kills: %v", left)
				}
			})
		}
	}
}

var errKept = errors.New("not replaced")
