package formats

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/internal/userfile"
)

// Location is a file and the inputs in it, as plain data: a runner can send it to another machine that sees the same
// folder.
type Location struct {
	// Root is the input folder, File the file's path in it with slashes.
	Root, File string
	// Bytes is the file's size when it was listed.
	Bytes  int64
	Inputs []Member
}

// Member is an input of a Location.
type Member struct {
	// Archived says that the file is an archive and the input its Entry'th file, from 0, with the path Name.
	Archived bool
	Entry    int
	Name     string
	// Path is FileInfo.Path, Format the format's name.
	Path, Format string
}

// Locations says where inputs that Discover found below root are, in their order.
func Locations(root string, inputs []*Input) (out []Location) {
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		root = filepath.Dir(root)
	}
	var last *diskFile
	entries := map[*unpack.Entry]int{}
	for _, in := range inputs {
		if in.file != last {
			last = in.file
			out = append(out, Location{Root: root, File: last.rel, Bytes: last.stamp.Size})
			if last.archive != nil {
				for i := range last.archive.Entries {
					entries[&last.archive.Entries[i]] = i
				}
			}
		}
		m := Member{Path: in.path, Format: in.Format()}
		if in.member != nil {
			m.Archived, m.Name, m.Entry = true, in.member.Name, entries[in.member]
		}
		l := &out[len(out)-1]
		l.Inputs = append(l.Inputs, m)
	}
	return out
}

// Open finds the inputs again. A compressed tar is unpacked into tempDir. Close them with Close.
func (l Location) Open(ctx context.Context, tempDir string) (inputs []*Input, err error) {
	name := filepath.Join(l.Root, filepath.FromSlash(l.File))
	stamp, err := userfile.StampOf(name)
	if err != nil {
		return nil, err
	}
	errChanged := errors.New("it was changed after it was listed. Try: again, when nothing writes to it any more")
	if stamp.Size != l.Bytes {
		return nil, errChanged
	}
	f := &diskFile{path: name, rel: l.File, stamp: stamp}
	side, err := readSidecar(name)
	if err != nil {
		return nil, err
	}
	if l.Inputs[0].Archived {
		if f.archive, err = unpack.OpenArchive(ctx, name, tempDir); err != nil {
			return nil, err
		}
		if f.archive == nil {
			return nil, errChanged
		}
	}
	for _, m := range l.Inputs {
		in := &Input{file: f, path: m.Path, sidecar: side}
		if in.reader, err = Lookup(m.Format); err == nil && m.Archived {
			if m.Entry < len(f.archive.Entries) && f.archive.Entries[m.Entry].Name == m.Name {
				in.member = &f.archive.Entries[m.Entry]
			} else {
				err = errChanged
			}
		}
		if inputs = append(inputs, in); err != nil {
			Close(inputs)
			return nil, err
		}
	}
	return inputs, nil
}
