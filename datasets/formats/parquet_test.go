package formats

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

type gtaRow struct {
	Domain []byte `parquet:"domain"`
	Class  string `parquet:"class"`
	Index  int64  `parquet:"__index_level_0__"`
}

func gtaFile(t testing.TB, rows ...gtaRow) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[gtaRow](&b, parquet.Compression(&parquet.Snappy))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type floatRow struct {
	Type   string  `parquet:"type"`
	Host   string  `parquet:"host"`
	Domain string  `parquet:"domain"`
	Label  float64 `parquet:"label"`
}

func parquetFile[T any](t testing.TB, rows ...T) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func nullsFile(t testing.TB) string {
	t.Helper()
	type row struct {
		Domain string  `parquet:"domain"`
		Class  *string `parquet:"class,optional"`
		Family *string `parquet:"family,optional"`
	}
	text := func(s string) *string { return &s }
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b)
	if _, err := w.Write([]row{{"a.com", text("benign"), nil}, {"b.com", text("dga"), nil},
		{"c.com", text("dga"), text("zeus")}, {"d.com", nil, nil}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestParquetRefusesLZ4(t *testing.T) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[gtaRow](&b, parquet.Compression(&parquet.Lz4Raw))
	if _, err := w.Write([]gtaRow{{[]byte("a.com"), "legit", 1}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	err := (parquetReader{}).Read(t.Context(), &b, FileInfo{TempDir: t.TempDir()}, &collector{})
	if err == nil || !strings.Contains(err.Error(), "LZ4_RAW is not read") {
		t.Errorf("error %v", err)
	}
}

func parquetSeeds(t testing.TB) (out [][]byte) {
	type optional struct {
		Domain string `parquet:"domain,optional,delta"`
		Class  string `parquet:"class,dict"`
	}
	type lengths struct {
		Domain []byte `parquet:"domain,delta"`
		Class  int64  `parquet:"class,delta"`
	}
	for version := 1; version <= 2; version++ {
		for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Zstd,
			&parquet.Brotli} {
			o := []parquet.WriterOption{parquet.DataPageVersion(version), parquet.Compression(codec)}
			var a, b, c bytes.Buffer
			gta, opt, num := parquet.NewGenericWriter[gtaRow](&a, o...), parquet.NewGenericWriter[optional](&b, o...),
				parquet.NewGenericWriter[lengths](&c, o...)
			for range 20 {
				gta.Write([]gtaRow{{[]byte("0.static.wix.com"), "legit", 1}, {[]byte("a\xff.net"), "iodine", 1}})
				opt.Write([]optional{{"www.example.com", "dga"}, {"", "legit"}})
				num.Write([]lengths{{[]byte("google.com"), 0}, {[]byte("google.de"), 1}})
			}
			if err := errors.Join(gta.Close(), opt.Close(), num.Close()); err != nil {
				t.Fatal(err)
			}
			out = append(out, a.Bytes(), b.Bytes(), c.Bytes())
		}
	}
	return out
}

func TestParquetSeeds(t *testing.T) {
	for i, data := range parquetSeeds(t) {
		sink := &countingSink{}
		err := parquetReader{}.Read(t.Context(), bytes.NewReader(data), FileInfo{Path: "x.parquet", TempDir: t.TempDir()},
			sink)
		if err != nil || sink.rows != 40 {
			t.Errorf("seed %d: %d rows, %v", i, sink.rows, err)
		}
	}
}

func FuzzParquet(f *testing.F) {
	for _, data := range parquetSeeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, parquetReader{}, "x.parquet", data) })
}

// The numbers of a data set of Hugging Face stand for words that are stored beside the table.
func TestParquetClassLabels(t *testing.T) {
	type row struct {
		Text  string `parquet:"domain"`
		Label int64  `parquet:"label"`
	}
	for features, want := range map[string]string{
		`{"domain": {}, "label": {"names": ["dga", "benign"]}, "x": [{}]}`: "[1 dga  a.com 2 benign  b.com]",
		`{"label": {"names": ["legit", "necurs"]}}`:                        "[1 benign  a.com 2 dga necurs b.com]",
		`{"label": {"names": ["spam", "ham"]}}`:                            "[]",
		`[]`:                                                               "[1 benign  a.com 2 dga  b.com]",
	} {
		var b bytes.Buffer
		meta := parquet.KeyValueMetadata("huggingface", `{"info": {"features": `+features+`}}`)
		w := parquet.NewGenericWriter[row](&b, meta)
		if _, err := w.Write([]row{{"a.com", 0}, {"b.com", 1}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := &collector{}
		err := parquetReader{}.Read(t.Context(), &b, FileInfo{Path: "x.parquet"}, got)
		if fmt.Sprint(got.rows) != want || (err != nil) != (want == "[]") {
			t.Errorf("%s: %v, %v, want %s", features, got.rows, err, want)
		}
	}
}
