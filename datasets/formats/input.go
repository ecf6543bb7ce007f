package formats

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/internal/userfile"
)

// Input is one stream of records: a file, or a member of an archive.
type Input struct {
	file    *diskFile
	member  *unpack.Entry // nil if the file is no archive
	path    string        // FileInfo.Path
	reader  Reader
	sidecar sidecar
}

// diskFile is a file in the input folder. An archive is one file and many inputs.
type diskFile struct {
	path string // where it is
	rel  string // relative to the input folder, with slashes
	// stamp is the file's when it was listed. All that is read of it must be of that state.
	stamp userfile.Stamp

	archive *unpack.Archive // nil if it is none; open until Close

	once   sync.Once // reads the file for its checksum
	sum    string
	sumErr error
}

// Close closes the files of inputs.
func Close(inputs []*Input) {
	for _, in := range inputs {
		if a := in.file.archive; a != nil {
			a.Close()
		}
	}
}

// Label is how errors and dataset.json name the input: FILE, or FILE!MEMBER of an archive.
func (in *Input) Label() string {
	if in.member != nil {
		return in.file.rel + "!" + in.member.Name
	}
	return in.file.rel
}

// File is the input's file, relative to the input folder, with slashes.
func (in *Input) File() string { return in.file.rel }

// FileBytes is the size of the input's file on disk.
func (in *Input) FileBytes() int64 { return in.file.stamp.Size }

// Bytes is the input's share of its file on disk, for progress.
func (in *Input) Bytes() int64 {
	if in.member != nil {
		return in.member.PackedSize()
	}
	return in.file.stamp.Size
}

// SHA256 is the checksum of the input's file in hexadecimal. It is computed once for all inputs of a file.
func (in *Input) SHA256(ctx context.Context) (string, error) {
	f := in.file
	f.once.Do(func() { f.sum, _, f.sumErr = unpack.SHA256(ctx, f.path) })
	return f.sum, f.sumErr
}

// Unchanged is an error if the input's file is not what it was when it was listed. Its rows and its checksum may then
// be of different states.
func (in *Input) Unchanged() error {
	now, err := userfile.StampOf(in.file.path)
	if err == nil && now != in.file.stamp {
		err = errors.New("it was changed while it was read. Try: again, when nothing writes to it any more")
	}
	return err
}

// Format is the name of the format that was recognised or declared.
func (in *Input) Format() string { return in.reader.Name() }

// Source is the data set of records that do not name theirs.
func (in *Input) Source() string {
	if in.sidecar.Source != "" {
		return datasets.NormalizeSource(in.sidecar.Source)
	}
	return datasets.NormalizeSource(defaultSource(in.reader, in.path))
}

// ApplySidecar lets the sidecar override what the reader found. source is Source's, for records that name none.
func (in *Input) ApplySidecar(rec *datasets.Record, source string) {
	if c := in.sidecar.class; c != nil {
		rec.Class, rec.Weak = *c, false
	}
	if in.sidecar.Family != "" {
		rec.Family = in.sidecar.Family
	}
	if rec.Class == benign {
		rec.Family = ""
	}
	if rec.Source == "" || in.sidecar.Source != "" {
		rec.Source = source
	}
}

// Read hands the input's records to sink, as Reader.Read does. tempDir is for the reader's temporary files. progress,
// if not nil, is told the bytes read from disk.
func (in *Input) Read(ctx context.Context, tempDir string, progress func(int64), sink Sink) error {
	s, err := in.open(ctx, progress)
	if err != nil {
		return err
	}
	defer s.Close()
	if in.sidecar.class != nil || in.sidecar.Family != "" {
		sink = declaredSink{sink, in}
	}
	return in.reader.Read(ctx, s.Reader, in.info(tempDir), sink)
}

// declaredSink is a Sink of an input whose sidecar says what its rows are.
type declaredSink struct {
	Sink
	in *Input
}

// Evidence implements Sink.
func (d declaredSink) Evidence(e *datasets.Evidence) {
	if d.in.sidecar.class != nil {
		e.Class, e.Guess = "sidecar", ""
	}
	if d.in.sidecar.Family != "" {
		e.Family = "sidecar"
	}
	d.Sink.Evidence(e)
}

// info is what readers are told of the input.
func (in *Input) info(tempDir string) FileInfo {
	return FileInfo{Path: in.path, Class: in.sidecar.class, Family: in.sidecar.Family, TempDir: tempDir,
		columns: in.sidecar.Columns, declared: in.sidecar.declared}
}

func (in *Input) open(ctx context.Context, progress func(int64)) (*unpack.Stream, error) {
	if in.member != nil {
		return in.member.Open(ctx, progress)
	}
	return unpack.File(ctx, in.file.path, progress)
}

// recognize chooses the reader. skip says why there is none, detail what each format missed.
func (in *Input) recognize(ctx context.Context) (skip datasets.Skipped, err error) {
	if in.sidecar.Format != "" {
		in.reader, err = Lookup(in.sidecar.Format)
		return skip, err
	}
	if len(in.sidecar.Columns)+len(in.sidecar.Classes) > 0 {
		return skip, in.recognizeTable(ctx)
	}
	head, err := in.head(ctx)
	if _, ok := errors.AsType[*unpack.KindError](err); ok {
		return datasets.Skipped{Reason: err.Error()}, nil
	}
	if err != nil {
		return skip, err
	}
	if len(head) == 0 {
		return datasets.Skipped{Reason: "empty"}, nil
	}
	if unpack.IsArchive(head) {
		return datasets.Skipped{Reason: "an archive inside another file. Unpack the outer one first"}, nil
	}
	in.reader, err = Recognize(in.path, head)
	if err != nil && in.sidecar.class != nil {
		// A class in the sidecar counts like a class folder, so try again as if the file lay in one.
		in.reader, err = Recognize(in.sidecar.class.String()+"/"+in.path, head)
	}
	if err == nil {
		return skip, nil
	}
	_, column, _ := rankedShape(head)
	if column < 0 || in.sidecar.class == nil {
		var unclear error
		if skip.Reason, unclear = whyNoTable(head, in.info("")); skip.Reason == notRecognised {
			skip.Detail = err.Error()
			if in.sidecar.class != nil || hintOf(in.path).known {
				skip.Line = oddLine(head)
			} else if isList, _ := (listReader{}).Match("dga/"+in.path, head); isList > 0 {
				skip.Line = "a list of names, but of which class? Put it below benign/, dga/ or tunnel/, or try: degas describe"
			}
		}
		return skip, unclear
	}
	in.reader = rankedReader{} // whatever the numbers are, the sidecar's class counts
	return skip, nil
}

// whyNoTable says what a file that looks like a table lacks. unclear is set if its labels cannot be told.
func whyNoTable(head []byte, f FileInfo) (skip string, unclear error) {
	if ours, why := sniffWarningList(head); ours && why != "" {
		return notRecognised + ": " + why, nil
	}
	var err error
	if isJSON(head) {
		_, err = jsonColumns(head, f)
	} else {
		_, err = tableIn(head, f)
	}
	if _, ok := errors.AsType[*unclearError](err); ok {
		return "", err
	}
	if err == nil || err == errNoTable || err == errNoNames {
		return notRecognised, nil
	}
	return notRecognised + ": " + err.Error(), nil
}

const notRecognised = "not recognised"

// recognizeTable chooses the reader of a file whose sidecar speaks of columns.
func (in *Input) recognizeTable(ctx context.Context) error {
	head, err := in.head(ctx)
	switch {
	case err != nil:
		return err
	case bytes.HasPrefix(head, []byte("PAR1")):
		in.reader = parquetReader{}
	case isJSON(head):
		in.reader = jsonReader{}
	default:
		in.reader = tableReader{}
	}
	return nil
}

func (in *Input) head(ctx context.Context) ([]byte, error) {
	s, err := in.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	head, _, err := lines.Peek(s)
	return head, err
}
