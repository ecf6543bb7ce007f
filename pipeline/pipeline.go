// Package pipeline runs stages in order and skips those whose work is done. A stage is done if its parameters and
// inputs have the fingerprint of its last success and its outputs are still what it wrote.
package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

// Stage is one step from files to files.
type Stage struct {
	// Name is unique in a pipeline.
	Name string
	// Params is what the result depends on besides the contents of the inputs. It is marshalled to JSON.
	Params any
	// Inputs and Outputs give files or directories.
	Inputs, Outputs func() []string
	// Replaces are the files and directories that Run replaces whole, whatever is in them.
	Replaces []string
	// Left is asked after a kill, which may have come between putting the output in its place and writing that down:
	// own is set if what stands there is an output of this kind of stage, whole if it is the output of just these
	// parameters and inputs, so that nothing is left to do. Nil means neither.
	Left func(context.Context) (own, whole bool)
	// Run does the work. If it is stopped, earlier outputs stay whole, and running it again finishes the work.
	// ready is an error if the stage must not replace what it was to replace: it is asked again before a long work takes
	// its place.
	Run func(ctx context.Context, ready func() error) error
}

// Observer is told what happens to each stage, by its name. Any function may be nil.
type Observer struct {
	Skipped  func(stage string)
	Started  func(stage string)
	Finished func(stage string)
}

// Options of a run.
type Options struct {
	// State is the file that remembers finished stages.
	State string
	// Version is the program's; a stage done by another version is done again.
	Version string
	// Force runs every stage, and lets it replace what this pipeline did not make.
	Force bool
	// DryRun runs none: Started is called for those that would run.
	DryRun bool
	Observer
}

// record is what the state file keeps of a stage: the fingerprint of its last success, "" since it began to run again,
// and the outputs of that success. The outputs are what the pipeline owns and may replace.
type record struct {
	Fingerprint string          `json:"fingerprint"`
	Begun       string          `json:"begun,omitempty"` // the fingerprint with which it began to run again
	Outputs     map[string]stat `json:"outputs"`
}

// stat identifies a file's content without reading it again while its stamp stays the same.
type stat struct {
	userfile.Stamp
	SHA256 string `json:"sha256"`
}

type state struct {
	Version int               `json:"version"`
	Stages  map[string]record `json:"stages"`
	// Files remembers digests of inputs by path.
	Files map[string]stat `json:"files"`
}

// Run runs stages in order and stops at the first that fails. Another process that runs on the same state is refused.
// Before any stage runs, Run refuses to replace what the pipeline did not make, or what somebody has changed since,
// unless o.Force is set.
func Run(ctx context.Context, stages []Stage, o Options) error {
	unlock, err := atomicfile.ClaimFile(o.State)
	if err != nil {
		return err
	}
	defer unlock()
	r := &runner{Options: o, state: readState(o.State)}
	if !o.Force {
		if err := r.checkOwned(ctx, stages); err != nil {
			return err
		}
	}
	for _, s := range stages {
		if err := r.stage(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// readState reads the state file. If it is missing or unreadable, nothing counts as done.
func readState(path string) state {
	var old state
	data, err := userfile.Read(path, userfile.Text)
	if err != nil || json.Unmarshal(data, &old) != nil || old.Version != 1 || old.Stages == nil || old.Files == nil {
		return state{Version: 1, Stages: map[string]record{}, Files: map[string]stat{}}
	}
	return old
}

type runner struct {
	Options
	state state
	ran   bool // a stage ran; in a dry run, all stages after it would run too
}

func (r *runner) stage(ctx context.Context, s Stage) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	print, done, err := r.done(ctx, s)
	if err != nil && !r.DryRun {
		return err
	}
	if done && !r.Force && !(r.DryRun && r.ran) {
		call(r.Skipped, s)
		return nil
	}
	r.ran = true
	call(r.Started, s)
	if r.DryRun {
		return nil
	}
	if own, whole := r.left(ctx, s, print); own && whole && !r.Force {
		call(r.Finished, s)
		return r.remember(ctx, s, print)
	}
	r.state.Stages[s.Name] = record{Begun: print, Outputs: r.takeOver(s)}
	if err := r.save(); err != nil {
		return err
	}
	ready := func() error { // a stage takes long, and somebody may have put something there meanwhile
		if r.Force {
			return nil
		}
		return r.mayReplace(ctx, s, r.made())
	}
	if err := s.Run(ctx, ready); err != nil {
		return err
	}
	call(r.Finished, s)
	return r.remember(ctx, s, print)
}

func call(f func(string), s Stage) {
	if f != nil {
		f(s.Name)
	}
}

// takeOver gives s what other stages made where its outputs go, so that every file has one owner: a stage that changes
// the output of an earlier one does not undo that one, which need not run again.
func (r *runner) takeOver(s Stage) map[string]stat {
	mine := map[string]stat{}
	maps.Copy(mine, r.state.Stages[s.Name].Outputs)
	for name, other := range r.state.Stages {
		if name == s.Name {
			continue
		}
		for _, root := range s.Outputs() {
			root = filepath.ToSlash(filepath.Clean(root))
			for path, st := range other.Outputs {
				if path == root || strings.HasPrefix(path, root+"/") {
					mine[path] = st
					delete(other.Outputs, path)
				}
			}
		}
	}
	return mine
}

// done reports whether s would only repeat itself, and the fingerprint that it would begin with.
func (r *runner) done(ctx context.Context, s Stage) (print string, done bool, err error) {
	if print, err = r.fingerprint(ctx, s); err != nil {
		return "", false, err
	}
	rec, ok := r.state.Stages[s.Name]
	if !ok || rec.Fingerprint != print {
		return print, false, nil
	}
	now, err := r.digests(ctx, s.Outputs(), rec.Outputs)
	if errors.Is(err, os.ErrNotExist) {
		return print, false, nil
	}
	for path, made := range rec.Outputs { // what else is there does not count
		if now[path].SHA256 != made.SHA256 {
			return print, false, err
		}
	}
	return print, err == nil, err
}

// checkOwned is an error if a stage that will run would replace a file that no stage of this pipeline made, or that has
// changed since.
func (r *runner) checkOwned(ctx context.Context, stages []Stage) error {
	made, runs := r.made(), false
	for _, s := range stages {
		print, done, err := r.done(ctx, s)
		runs = runs || !done || err != nil // later stages run too: their inputs change
		if own, _ := r.left(ctx, s, print); own || !runs {
			continue
		}
		if err := r.mayReplace(ctx, s, made); err != nil {
			return err
		}
	}
	return nil
}

// mayReplace is an error if s would replace anything that is not in made.
func (r *runner) mayReplace(ctx context.Context, s Stage, made map[string]stat) error {
	for _, root := range s.Replaces {
		err := r.owned(ctx, root, made)
		if err != nil && filepath.Base(root) == rundir.TuningFile {
			return fmt.Errorf("%s would change the model of %s, but somebody has run calibrate or choose-threshold on it "+
				"since: %w. To keep the model, leave %s out of the config. To set it again, use --force",
				s.Name, filepath.Dir(root), err, s.Name)
		}
		if err != nil {
			return fmt.Errorf("%s would replace %s, but %w. To keep it, move it away. To replace it, use --force",
				s.Name, root, err)
		}
	}
	return nil
}

// made are the outputs of all stages.
func (r *runner) made() map[string]stat {
	made := map[string]stat{}
	for _, rec := range r.state.Stages {
		maps.Copy(made, rec.Outputs)
	}
	return made
}

// left is s.Left if s was killed when it ran with these parameters and inputs.
func (r *runner) left(ctx context.Context, s Stage, print string) (own, whole bool) {
	if s.Left == nil || print == "" || r.state.Stages[s.Name].Begun != print {
		return false, false
	}
	return s.Left(ctx)
}

// owned is an error that names a file at or below root which is not one that was made.
func (r *runner) owned(ctx context.Context, root string, made map[string]stat) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case path != root && (strings.HasPrefix(d.Name(), ".degas-") || d.Name() == ".lock"): // locks, unfinished work
			return nil
		case d.IsDir():
			return nil
		}
		was, ours := made[filepath.ToSlash(path)]
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !ours || !info.Mode().IsRegular() {
			return fmt.Errorf("this pipeline did not make %s", path)
		}
		now, err := digest(ctx, path, was)
		if err == nil && now.SHA256 != was.SHA256 {
			err = fmt.Errorf("%s has changed since this pipeline made it", path)
		}
		return err
	})
}

// remember writes down that s is done, with the fingerprint that it began with: an input that has changed since may not
// have been read, and makes the stage run again.
func (r *runner) remember(ctx context.Context, s Stage, print string) error {
	outputs, err := r.digests(context.WithoutCancel(ctx), s.Outputs(), nil) // the work is done and must not be lost
	if err != nil {
		return err
	}
	r.state.Stages[s.Name] = record{Fingerprint: print, Outputs: outputs}
	return r.save()
}

func (r *runner) save() error {
	return atomicfile.WriteJSON(r.State, r.state)
}

// fingerprint hashes the program's version, the stage's parameters and the contents of its inputs.
func (r *runner) fingerprint(ctx context.Context, s Stage) (string, error) {
	inputs, err := r.digests(ctx, s.Inputs(), r.state.Files)
	if err != nil {
		return "", err
	}
	sums := map[string]string{}
	for path, st := range inputs {
		r.state.Files[path] = st
		sums[path] = st.SHA256
	}
	data, err := json.Marshal(map[string]any{
		"version": r.Version,
		"stage":   s.Name,
		"params":  s.Params,
		"inputs":  sums,
		"outputs": s.Replaces,
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(data)), nil
}
