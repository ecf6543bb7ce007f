package formats

import (
	"cmp"
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

// Discover finds the inputs below root, which may also be a file, in order of their paths, and what it skipped: every
// file is the one or the other. Compressed tars are unpacked into tempDir until Close.
func Discover(ctx context.Context, root, tempDir string) (inputs []*Input, skipped []datasets.Skipped, err error) {
	files, unlisted, err := listFiles(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		found, skips, err := f.inputs(ctx, tempDir)
		if _, unclear := errors.AsType[*unclearError](err); unclear {
			err = fmt.Errorf("%w. To start a sidecar: degas describe %s", err, f.path)
		}
		if err != nil {
			Close(inputs)
			return nil, nil, fmt.Errorf("read %s: %w", f.path, err)
		}
		inputs, skipped = append(inputs, found...), append(skipped, skips...)
	}
	inputs, dropped := supersede(inputs)
	skipped = slices.Concat(skipped, dropped, unlisted)
	slices.SortStableFunc(skipped, func(a, b datasets.Skipped) int { return strings.Compare(a.Path, b.Path) })
	return inputs, skipped, nil
}

// listFiles walks root, through links. degas' own locks and unfinished work are the only files that it does not list.
func listFiles(ctx context.Context, root string) (files []*diskFile, skipped []datasets.Skipped, err error) {
	again, err := linkwalk.Walk(root, func(rel string, info fs.FileInfo, err error) error {
		if base := path.Base(rel); rel != "." && base[0] == '.' {
			if !strings.HasPrefix(base, ".degas-") { // those are locks and what is being written
				skipped = append(skipped, datasets.Skipped{Path: rel, Reason: skipHidden})
			}
			if info != nil && info.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil || info.IsDir() {
			return err
		}
		if !info.Mode().IsRegular() {
			skipped = append(skipped, datasets.Skipped{Path: rel, Reason: userfile.NoFile(info.Mode())})
			return nil
		}
		name := filepath.Join(root, filepath.FromSlash(rel))
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

// inputs are f, or the members of the archive that it is, as far as they are recognised.
func (f *diskFile) inputs(ctx context.Context, tempDir string) (inputs []*Input, skipped []datasets.Skipped,
	err error) {
	if side, ok := strings.CutSuffix(f.path, SidecarSuffix); ok && exists(side) {
		return nil, nil, nil // read with its file
	}
	if reason := skipReason(f.rel); reason != "" {
		return nil, []datasets.Skipped{{Path: f.rel, Reason: reason}}, nil
	}
	side, err := readSidecar(f.path)
	if err != nil {
		return nil, nil, err
	}
	if side.Skip {
		return nil, []datasets.Skipped{{Path: f.rel, Reason: "its sidecar says skip"}}, nil
	}
	found := []*Input{{file: f, path: unpack.TrimSuffix(f.rel)}}
	if f.archive, err = unpack.OpenArchive(ctx, f.path, tempDir); err != nil {
		return nil, nil, err
	}
	if f.archive != nil {
		found, skipped = f.members()
	}
	defer func() {
		if f.archive != nil && len(inputs) == 0 { // whose Close nobody else calls
			err = errors.Join(err, f.archive.Close())
		}
	}()
	for _, in := range found {
		in.sidecar = side
		skip, err := in.recognize(ctx)
		switch {
		case err != nil && in.member != nil:
			return nil, nil, fmt.Errorf("%s: %w", in.member.Name, err)
		case err != nil:
			return nil, nil, err
		case skip.Reason != "":
			skip.Path = in.Label()
			skipped = append(skipped, skip)
		default:
			inputs = append(inputs, in)
		}
	}
	return inputs, skipped, nil
}

// members makes an input of each file in an archive. One file goes by the archive's own name, because publishers call
// it top-1m.csv, unless its name in the archive tells another class.
func (f *diskFile) members() (inputs []*Input, skipped []datasets.Skipped) {
	stem := unpack.TrimSuffix(f.rel)
	for i := range f.archive.Entries {
		m := &f.archive.Entries[i]
		in := &Input{file: f, member: m, path: stem + path.Clean("/"+unpack.TrimSuffix(m.Name))}
		if reason := cmp.Or(m.Skip, memberSkipReason(m.Name)); reason != "" {
			skipped = append(skipped, datasets.Skipped{Path: in.Label(), Reason: reason})
			continue
		}
		inputs = append(inputs, in)
	}
	if len(f.archive.Entries) == 0 {
		skipped = append(skipped, datasets.Skipped{Path: f.rel, Reason: "an archive without files"})
	}
	slices.SortFunc(inputs, func(a, b *Input) int { return strings.Compare(a.member.Name, b.member.Name) })
	if len(inputs) == 1 {
		only := inputs[0]
		own, outer := hintOf(only.member.Name), hintOf(stem)
		if own.known && (!outer.known || own.class != outer.class || own.blocklist != outer.blocklist) {
			return inputs, skipped
		}
		if only.path = stem; path.Ext(stem) == "" {
			only.path += path.Ext(unpack.TrimSuffix(only.member.Name))
		}
	}
	return inputs, skipped
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
