package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

// SumsFile lists the SHA-256 of every other file of a version directory, in the form that "sha256sum -c" reads.
const SumsFile = "SHA256SUMS"

// ErrExists means that the version directory exists already.
var ErrExists = errors.New("exists already")

// DefaultFormats is what Export writes when Options name none.
var DefaultFormats = []string{"hdf5", "savedmodel", "onnx"}

// Options choose what Export does. The zero Options write the default formats and refuse to replace anything.
type Options struct {
	// Formats by name; nil means DefaultFormats. degas' own two files are always written.
	Formats []string
	// Metrics go into the manifest and the model card, by name; they may be nil.
	Metrics map[string]float64
	// LeftOut is why the run's evaluation is none of this model, for the card; "" if it is or if there was none.
	LeftOut string
	// Title is what the model card calls the model; "" means the architecture's name.
	Title string
	// Overwrite replaces an earlier export. A directory that holds anything else is never replaced.
	Overwrite bool
}

// Report says what Export wrote.
type Report struct {
	Dir   string `json:"dir"`
	Files []File `json:"files"` // sorted by path, without SumsFile
}

// File is one exported file.
type File struct {
	Path   string `json:"path"` // in the directory, with forward slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

// Export writes m into the version directory to, which appears whole or not at all: it fills a hidden sibling, which
// servers ignore, and renames that. Equal models give equal bytes. The error wraps ErrExists if to exists and Overwrite
// is not set, and is ctx's if ctx ended between two formats.
func Export(ctx context.Context, m *model.Model, to string, o Options) (Report, error) {
	if o.Formats == nil {
		o.Formats = DefaultFormats
	}
	var chosen []Format
	for i, name := range o.Formats {
		f, err := Lookup(name)
		if err != nil {
			return Report{}, err
		}
		if !slices.Contains(o.Formats[:i], name) {
			chosen = append(chosen, f)
		}
	}
	to = filepath.Clean(to)
	report := Report{Dir: to}
	err := replaceable(to, o.Overwrite)
	if err == nil {
		err = atomicfile.ReplaceDir(to, func(stage string) (err error) {
			report.Files, err = fill(ctx, stage, m, chosen, o)
			return err
		})
	}
	if err != nil {
		return Report{}, fmt.Errorf("export to %s: %w", to, err)
	}
	return report, nil
}

// replaceable returns an error if to exists and is to be kept or is no export.
func replaceable(to string, overwrite bool) error {
	info, err := os.Stat(to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("it is a file: %w", ErrExists)
	}
	if !overwrite {
		return fmt.Errorf("%w: choose a new version number, or pass --overwrite", ErrExists)
	}
	if !IsOutput(to) {
		return fmt.Errorf("it holds no %s and %s and so is no export, which is not overwritten: %w", SumsFile,
			model.SpecFile, ErrExists)
	}
	ours := []string{SumsFile, ManifestFile, CardFile, model.SpecFile, model.WeightsFile}
	for _, f := range Formats() {
		ours = append(ours, f.Files...)
	}
	if err := atomicfile.HoldsOnly(to, ours...); err != nil {
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	return nil
}

// IsOutput reports whether dir is a directory that Export wrote.
func IsOutput(dir string) bool {
	_, sums := os.Stat(filepath.Join(dir, SumsFile))
	_, spec := os.Stat(filepath.Join(dir, model.SpecFile))
	return sums == nil && spec == nil
}

func fill(ctx context.Context, dir string, m *model.Model, chosen []Format, o Options) ([]File, error) {
	if err := m.Write(dir); err != nil {
		return nil, err
	}
	for _, f := range chosen {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := f.Write(dir, m); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if err := describe(dir, m, o); err != nil {
		return nil, err
	}
	files, err := sums(dir)
	if err != nil {
		return nil, err
	}
	var list strings.Builder
	for _, f := range files {
		fmt.Fprintf(&list, "%s  %s\n", f.SHA256, f.Path)
	}
	if err := atomicfile.Write(filepath.Join(dir, SumsFile), []byte(list.String())); err != nil {
		return nil, err
	}
	return files, ctx.Err()
}

// sums reads every file below dir, in the order of their paths.
func sums(dir string) ([]File, error) {
	var out []File
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := sum(filepath.Join(dir, filepath.FromSlash(path)))
		f.Path = path
		out = append(out, f)
		return err
	})
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out, err
}

func sum(path string) (File, error) {
	f, err := userfile.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return File{Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}
