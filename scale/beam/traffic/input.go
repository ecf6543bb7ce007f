package traffic

import (
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/detect/scan"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/asutf8"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/unpack"
)

// File is a file of the input.
type File struct {
	Folder string // whole path or URL: workers stand elsewhere
	Name   string // in it
	Path   string // what the user calls it
	Size   int64  // bytes
}

// list lists the input.
func list(ctx context.Context, inputs []string) (files []File, err error) {
	for _, in := range inputs {
		var found []File
		if bucket.IsURL(in) {
			found, err = listURL(ctx, in)
		} else {
			found, err = listPath(ctx, in)
		}
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no input. Try: --input PATH, a file, a folder or a URL")
	}
	return files, nil
}

// listPath lists the files of this machine that a path stands for.
func listPath(ctx context.Context, in string) (files []File, err error) {
	paths, err := scan.Expand([]string{in})
	if err != nil {
		return nil, err
	}
	for _, p := range paths {
		f := File{Name: filepath.Base(p), Path: p}
		if p == scan.Standard {
			return nil, fmt.Errorf("workers cannot read standard input. Try: a file, a folder or a URL")
		}
		if f.Folder, err = filepath.Abs(filepath.Dir(p)); err != nil {
			return nil, err
		}
		folder, err := bucket.Open(ctx, f.Folder)
		if err != nil {
			return nil, err
		}
		if f.Size, err = folder.Size(ctx, f.Name); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// listURL lists the files of a folder, or the file that a URL is of.
func listURL(ctx context.Context, in string) (files []File, err error) {
	folder, err := bucket.Open(ctx, in)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	for f, err := range folder.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		hidden := strings.HasPrefix(f.Name, ".") || strings.Contains(f.Name, "/.")
		if !hidden {
			files = append(files, File{in, f.Name, folder.At(f.Name), f.Size})
		}
	}
	if len(files) > 0 {
		return files, nil
	}
	place, query, asked := strings.Cut(in, "?")
	parent := strings.TrimSuffix(place, path.Base(place))
	if asked {
		parent += "?" + query
	}
	up, err := bucket.Open(ctx, parent)
	if err != nil {
		return nil, fmt.Errorf("%s holds no file", folder)
	}
	defer up.Close()
	size, err := up.Size(ctx, path.Base(place))
	if err != nil {
		return nil, err
	}
	return []File{{parent, path.Base(place), up.At(path.Base(place)), size}}, nil
}

// Piece is what is read at once: the lines of a file that begin from From to To, or all of a file.
type Piece struct {
	Folder, Name, Path string
	Size               int64 // of the file
	File, Part         int64 // numbers
	Format             string
	From, To           int64 // bytes; To is 0 for a whole file
}

// cutFn cuts a file into pieces.
type cutFn struct {
	RangeSize int64
	Format    string
}

func keyFile(file Piece) (int64, Piece) { return file.File, file }

// ProcessElement implements Beam's DoFn.
func (f *cutFn) ProcessElement(ctx context.Context, _ int64, files func(*Piece) bool, emit func(Piece)) error {
	for p := (Piece{}); files(&p); {
		if err := f.cut(ctx, p, emit); err != nil {
			return err
		}
	}
	return nil
}

func (f *cutFn) cut(ctx context.Context, p Piece, emit func(Piece)) error {
	if p.Size > f.RangeSize {
		folder, err := bucket.Open(ctx, p.Folder)
		if err == nil {
			var head []byte
			if head, err = readHead(ctx, folder, p.Name); err == nil {
				p.Format = cuttable(head, f.Format)
			}
			folder.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Of another error, whoever reads the file tells.
	}
	if p.Format == "" {
		emit(p)
		return nil
	}
	for p.From < p.Size {
		p.To = min(p.From+f.RangeSize, p.Size)
		emit(p)
		p.From, p.Part = p.To, p.Part+1
	}
	return nil
}

// readHead reads a file's first bytes.
func readHead(ctx context.Context, folder *bucket.Folder, name string) ([]byte, error) {
	r, err := folder.Reader(ctx, name, 0, lines.HeadSize)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// cuttable is the format of a file by its head if the file can be read in ranges, else "".
func cuttable(head []byte, name string) string {
	_, packed, err := unpack.Decompress("", strings.NewReader(""), head)
	if packed || err != nil || string(asutf8.Bytes(head)) != string(head) {
		return ""
	}
	format, err := events.Recognize(head)
	if name != "" {
		format, err = events.Lookup(name)
	}
	if err != nil || format.Cuts == nil || !format.Cuts(head) {
		return ""
	}
	return format.Name
}
