package formats

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/linkwalk"
	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/internal/userfile"
)

// Discover finds the inputs below root, which may also be a file, in order of their paths, and what it skipped.
func Discover(ctx context.Context, root string) (inputs []*Input, skipped []datasets.Skipped, err error) {
	files, skipped, err := listFiles(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		found, skips, err := f.inputs(ctx)
		if _, unclear := errors.AsType[*unclearError](err); unclear {
			return nil, nil, fmt.Errorf("read %s: %w. To start a sidecar: degas describe %s", f.path, err, f.path)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", f.path, err)
		}
		inputs, skipped = append(inputs, found...), append(skipped, skips...)
	}
	inputs, dropped := supersede(inputs)
	skipped = append(skipped, dropped...)
	slices.SortStableFunc(skipped, func(a, b datasets.Skipped) int { return strings.Compare(a.Path, b.Path) })
	return inputs, skipped, nil
}

// listFiles walks root, through links. degas' own locks and unfinished work are the only files that it does not list.
func listFiles(ctx context.Context, root string) (files []*diskFile, skipped []datasets.Skipped, err error) {
	again, err := linkwalk.Walk(root, func(rel string, info fs.FileInfo, err error) error {
		skip := func(reason string) error {
			skipped = append(skipped, datasets.Skipped{Path: rel, Reason: reason})
			return nil
		}
		name := filepath.Join(root, filepath.FromSlash(rel))
		switch base := path.Base(rel); {
		case ctx.Err() != nil:
			return ctx.Err()
		case rel != "." && strings.HasPrefix(base, "."):
			if !strings.HasPrefix(base, ".degas-") {
				skip(hidden)
			}
			if info != nil && info.IsDir() {
				return fs.SkipDir
			}
			return nil
		case err != nil || info.IsDir():
			return err
		case !info.Mode().IsRegular():
			return skip(userfile.NoFile(info.Mode()))
		}
		if rel == "." {
			rel = filepath.Base(root)
		}
		stamp, err := userfile.StampOf(name)
		files = append(files, &diskFile{path: name, rel: rel, stamp: stamp})
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list inputs: %w", err)
	}
	for _, rel := range again {
		skipped = append(skipped, datasets.Skipped{Path: rel, Reason: "a folder that is read under another name"})
	}
	slices.SortFunc(files, func(a, b *diskFile) int { return strings.Compare(a.rel, b.rel) })
	return files, skipped, nil
}

// Reasons why a file is left out by its name.
const (
	hidden  = "hidden: its name begins with a dot"
	ignored = "by its name, it describes data or holds none"
)

// ignoredFile reports whether to leave out a file that comes with data sets and holds no rows (README, checksums, …).
func ignoredFile(rel string) bool {
	base := strings.ToUpper(path.Base(rel))
	for _, p := range []string{"LICENSE", "LICENCE", "README", "COPYING", "NOTICE", "CITATION", "SHA256SUMS",
		"CHANGELOG"} {
		if strings.HasPrefix(base, p) {
			return true
		}
	}
	switch path.Ext(base) {
	case ".MD", ".SHA256", ".LOCK", ".PART", ".PARTIAL", ".TMP", ".BAK", ".PDF", ".PNG", ".PY", ".IPYNB":
		return true
	}
	return false
}

// inputs are f, or the members of the zip that it is, as far as they are recognised.
func (f *diskFile) inputs(ctx context.Context) (inputs []*Input, skipped []datasets.Skipped, err error) {
	if strings.HasSuffix(f.rel, SidecarSuffix) {
		return nil, nil, nil // it is read with its file
	}
	if ignoredFile(f.rel) {
		return nil, []datasets.Skipped{{Path: f.rel, Reason: ignored}}, nil
	}
	side, err := readSidecar(f.path)
	if err != nil {
		return nil, nil, err
	}
	if side.Skip {
		return nil, []datasets.Skipped{{Path: f.rel, Reason: "its sidecar says skip"}}, nil
	}
	found := []*Input{{file: f, path: unpack.TrimSuffix(f.rel)}}
	if unpack.IsZip(f.path) {
		if found, skipped, err = f.members(); err != nil {
			return nil, nil, err
		}
	}
	for _, in := range found {
		in.sidecar = side
		skip, detail, err := in.recognize(ctx)
		switch {
		case err != nil && in.member != nil:
			return nil, nil, fmt.Errorf("%s: %w", in.member.Name, err)
		case err != nil:
			return nil, nil, err
		case skip != "":
			skipped = append(skipped, datasets.Skipped{Path: in.Label(), Reason: skip, Detail: detail})
		default:
			inputs = append(inputs, in)
		}
	}
	return inputs, skipped, nil
}

// members makes an input of each file in a zip. A zip of one file goes by the zip's own name, because publishers call
// the member top-1m.csv.
func (f *diskFile) members() (inputs []*Input, skipped []datasets.Skipped, err error) {
	if f.zip, err = zip.OpenReader(f.path); err != nil {
		return nil, nil, err
	}
	stem := unpack.TrimSuffix(f.rel)
	for _, m := range f.zip.File {
		reason := ""
		switch {
		case m.Mode().IsDir():
			continue
		case !m.Mode().IsRegular():
			reason = userfile.NoFile(m.Mode())
		case strings.HasPrefix(path.Base(m.Name), ".") || strings.HasPrefix(m.Name, "__MACOSX/"):
			reason = hidden
		case ignoredFile(m.Name):
			reason = ignored
		}
		in := &Input{file: f, member: m, path: stem + "/" + strings.TrimLeft(unpack.TrimSuffix(m.Name), "/")}
		if reason == "" {
			inputs = append(inputs, in)
		} else {
			skipped = append(skipped, datasets.Skipped{Path: in.Label(), Reason: reason})
		}
	}
	slices.SortFunc(inputs, func(a, b *Input) int { return strings.Compare(a.member.Name, b.member.Name) })
	if len(inputs) == 1 {
		only := inputs[0]
		if only.path = stem; path.Ext(stem) == "" {
			only.path += path.Ext(unpack.TrimSuffix(only.member.Name))
		}
	}
	return inputs, skipped, nil
}

// supersede drops inputs that their readers say another one contains.
func supersede(inputs []*Input) (kept []*Input, dropped []datasets.Skipped) {
	paths := map[Chooser][]string{}
	for _, in := range inputs {
		if c, ok := in.reader.(Chooser); ok {
			paths[c] = append(paths[c], in.path)
		}
	}
	better := map[string]string{}
	for c, list := range paths {
		maps.Copy(better, c.Superseded(list))
	}
	for _, in := range inputs {
		if _, chosen := in.reader.(Chooser); chosen && better[in.path] != "" {
			reason := "contained in " + path.Base(better[in.path])
			dropped = append(dropped, datasets.Skipped{Path: in.Label(), Reason: reason})
			continue
		}
		kept = append(kept, in)
	}
	return kept, dropped
}
