package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/export/importer"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

// CheckSums compares dir with its SHA256SUMS and returns the files of both, sorted by path. The error names a file that
// is missing, has changed or is not listed: a list cut short must not pass for a whole one.
func CheckSums(dir string) ([]File, error) {
	list, err := userfile.Read(filepath.Join(dir, SumsFile), userfile.Text)
	if err != nil {
		return nil, err
	}
	want := map[string]string{} // SHA-256 by path
	n := 0
	for line := range strings.Lines(string(list)) {
		n++
		sum, path, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "  ")
		if !ok || !filepath.IsLocal(filepath.FromSlash(path)) {
			return nil, fmt.Errorf("%s: line %d is no checksum of a file in the directory", SumsFile, n)
		}
		want[path] = sum
	}
	files, err := sums(dir)
	if err != nil {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(f File) bool { return f.Path == SumsFile })
	for _, f := range files {
		switch sum, listed := want[f.Path]; {
		case !listed:
			return nil, fmt.Errorf("%s is not listed in %s: the list was cut short, or the file came after the export. "+
				"Try: export-model --overwrite, or move the file away", f.Path, SumsFile)
		case sum != f.SHA256:
			return nil, fmt.Errorf("%s has changed since it was exported: its SHA-256 is %s, %s says %s. "+
				"Try: export-model --overwrite", f.Path, f.SHA256, SumsFile, sum)
		}
		delete(want, f.Path)
	}
	for path := range want {
		return nil, fmt.Errorf("%s, which %s lists, is missing. Try: export-model --overwrite", path, SumsFile)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s lists no files", SumsFile)
	}
	return files, nil
}

// Verified is the result of Verify.
type Verified struct {
	Names int `json:"names"` // that were scored
	// Differences has the largest difference of any probability for each file that was read back.
	Differences map[string]float64 `json:"differences"`
	// Unread are files that degas writes but does not read. scripts/verify-exports loads them in their runtimes.
	Unread []string `json:"unread"`
}

// Verify scores verifyNames names, whose probabilities may differ by verifyTolerance. The files hold the same numbers,
// so any difference means that a file says something else.
const (
	verifyNames     = 2000
	verifyTolerance = 1e-6
)

// readable are the files that degas reads back.
var readable = []struct {
	file string
	read func(dir string) (*model.Model, error)
}{
	{model.WeightsFile, model.Load},
	{"model.h5", func(dir string) (*model.Model, error) {
		m, _, err := importer.Read(filepath.Join(dir, "model.h5"), importer.Options{})
		return m, err
	}},
}

// Verify checks the checksums of the version directory dir, reads back every file that degas can read, and scores names
// of all lengths with it. A probability that differs from m's is an error.
func Verify(ctx context.Context, dir string, m *model.Model) (Verified, error) {
	v, err := verify(ctx, dir, m)
	if err != nil {
		return Verified{}, fmt.Errorf("verify %s: %w", dir, err)
	}
	return v, nil
}

func verify(ctx context.Context, dir string, m *model.Model) (v Verified, err error) {
	files, err := CheckSums(dir)
	if err != nil {
		return v, err
	}
	v = Verified{Names: verifyNames, Differences: map[string]float64{}, Unread: []string{}}
	names := namesOfAllLengths(verifyNames, 2*m.Spec.Encoder.Window)
	want, err := score(ctx, m, names)
	if err != nil {
		return v, err
	}
	for _, r := range readable {
		if _, err := os.Stat(filepath.Join(dir, r.file)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		read, err := r.read(dir)
		if err != nil {
			return v, err
		}
		got, err := score(ctx, read, names)
		if err != nil {
			return v, err
		}
		if v.Differences[r.file], err = furthest(got, want); err != nil {
			return v, fmt.Errorf("%s: %w", r.file, err)
		}
	}
	for _, f := range files {
		_, read := v.Differences[f.Path]
		if !read && !slices.Contains([]string{model.SpecFile, ManifestFile, CardFile}, f.Path) {
			v.Unread = append(v.Unread, f.Path)
		}
	}
	return v, nil
}

// furthest returns the largest difference of two lists of probabilities.
func furthest(got, want []float32) (float64, error) {
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d probabilities, want %d", len(got), len(want))
	}
	var largest float64
	for i := range got {
		largest = max(largest, math.Abs(float64(got[i])-float64(want[i])))
	}
	if !(largest <= verifyTolerance) {
		return 0, fmt.Errorf("probabilities differ by up to %g", largest)
	}
	return largest, nil
}

func score(ctx context.Context, m *model.Model, names []string) ([]float32, error) {
	c, err := model.NewClassifier(m)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(names)*c.Width())
	return out, c.ProbabilitiesFolded(ctx, names, out)
}

// namesOfAllLengths draws names of 0 to longest bytes, some with bytes of no alphabet, the same every time.
func namesOfAllLengths(n, longest int) []string {
	rng := rand.New(rand.NewPCG(1, 2))
	const bytes = model.NameAlphabet + model.NameAlphabet + "ABC+=?~\xff"
	out := make([]string, n)
	for i := range out {
		b := make([]byte, i%(longest+1))
		for j := range b {
			b[j] = bytes[rng.IntN(len(bytes))]
		}
		out[i] = string(b)
	}
	return out
}
