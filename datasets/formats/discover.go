package formats

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/linkwalk"
	"github.com/degas-dns/degas/internal/unpack"
)

// Discover finds the inputs below root, which may also be a file, in order of their paths, and what it skipped.
func Discover(ctx context.Context, root string) (inputs []*Input, skipped []datasets.Skipped, err error) {
	files, skipped, err := listFiles(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		found, skips, err := f.inputs(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", f.path, err)
		}
		inputs, skipped = append(inputs, found...), append(skipped, skips...)
	}
	inputs, dropped := supersede(inputs)
	return inputs, append(skipped, dropped...), nil
}

// listFiles walks root, through links. Hidden files are the downloader's business.
func listFiles(ctx context.Context, root string) (files []*diskFile, skipped []datasets.Skipped, err error) {
	again, err := linkwalk.Visible(root, func(rel string, info fs.FileInfo, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil || !info.Mode().IsRegular() {
			return err
		}
		name := filepath.Join(root, filepath.FromSlash(rel))
		if rel == "." {
			rel = filepath.Base(root)
		}
		files = append(files, newDiskFile(name, rel, info.Size()))
		return nil
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

// aside are files that come with data sets and hold no rows.
func aside(rel string) bool {
	base := strings.ToUpper(path.Base(rel))
	for _, p := range []string{"LICENSE", "LICENCE", "README", "COPYING", "NOTICE", "CITATION", "SHA256SUMS",
		"CHANGELOG"} {
		if strings.HasPrefix(base, p) {
			return true
		}
	}
	switch path.Ext(base) {
	case ".MD", ".JSON", ".SHA256", ".LOCK", ".PART", ".PARTIAL", ".TMP", ".BAK", ".PDF", ".PNG", ".PY", ".IPYNB":
		return true
	}
	return false
}

func (f *diskFile) inputs(ctx context.Context) ([]*Input, []datasets.Skipped, error) {
	if aside(f.rel) {
		return nil, nil, nil
	}
	side, err := readSidecar(f.path)
	if err != nil {
		return nil, nil, err
	}
	if side.Skip {
		return nil, []datasets.Skipped{{Path: f.rel, Reason: "its sidecar says skip"}}, nil
	}
	if unpack.IsZip(f.path) {
		return f.members(ctx, side)
	}
	in := &Input{file: f, path: unpack.TrimSuffix(f.rel), sidecar: side}
	skip, detail, err := in.recognize(ctx)
	if err != nil || skip != "" {
		return nil, []datasets.Skipped{{Path: in.Label(), Reason: skip, Detail: detail}}, err
	}
	return []*Input{in}, nil, nil
}

// members makes an input of each file in a zip. A zip of one file goes by the zip's own name, because publishers call
// the member top-1m.csv.
func (f *diskFile) members(ctx context.Context, side sidecar) (inputs []*Input, skipped []datasets.Skipped, err error) {
	if f.zip, err = zip.OpenReader(f.path); err != nil {
		return nil, nil, err
	}
	var files []*zip.File
	for _, m := range f.zip.File {
		if m.Mode().IsRegular() && !aside(m.Name) && !strings.HasPrefix(path.Base(m.Name), ".") &&
			!strings.HasPrefix(m.Name, "__MACOSX/") {
			files = append(files, m)
		}
	}
	slices.SortFunc(files, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
	stem := unpack.TrimSuffix(f.rel)
	for _, m := range files {
		p := stem + "/" + strings.TrimLeft(unpack.TrimSuffix(m.Name), "/")
		if len(files) == 1 {
			p = stem
			if path.Ext(p) == "" {
				p += path.Ext(unpack.TrimSuffix(m.Name))
			}
		}
		in := &Input{file: f, member: m, path: p, sidecar: side}
		skip, detail, err := in.recognize(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		if skip != "" {
			skipped = append(skipped, datasets.Skipped{Path: in.Label(), Reason: skip, Detail: detail})
			continue
		}
		inputs = append(inputs, in)
	}
	return inputs, skipped, nil
}

// supersede drops inputs that their readers say another one contains.
func supersede(inputs []*Input) (kept []*Input, dropped []datasets.Skipped) {
	by := map[Reader][]int{}
	for i, in := range inputs {
		if _, ok := in.reader.(Chooser); ok {
			by[in.reader] = append(by[in.reader], i)
		}
	}
	gone := map[int]string{}
	for r, list := range by {
		paths := make([]string, len(list))
		for j, i := range list {
			paths[j] = inputs[i].path
		}
		for j, better := range r.(Chooser).Superseded(paths) {
			if better != "" {
				gone[list[j]] = better
			}
		}
	}
	for i, in := range inputs {
		if better, ok := gone[i]; ok {
			dropped = append(dropped, datasets.Skipped{Path: in.Label(), Reason: "contained in " + path.Base(better)})
			continue
		}
		kept = append(kept, in)
	}
	return kept, dropped
}
