package parquet

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/unpack"
)

var update = flag.Bool("update", false, "write the fixture and the golden file of testdata")

type entrada1 struct {
	ID       int32    `parquet:"id"`
	UnixTime float64  `parquet:"unixtime"`
	QName    *string  `parquet:"qname,optional"`
	Domain   string   `parquet:"domainname"`
	Src      string   `parquet:"src"`
	SrcP     int32    `parquet:"srcp"`
	Dst      string   `parquet:"dst"`
	Prot     int32    `parquet:"prot"`
	QType    int32    `parquet:"qtype"`
	RCode    int32    `parquet:"rcode"`
	Others   []string `parquet:"others"`
}

type entrada2 struct {
	Time  int64  `parquet:"time,timestamp(microsecond)"`
	QName string `parquet:"dns_qname"`
	Src   string `parquet:"ip_src"`
	QType int32  `parquet:"dns_qtype"`
	RCode *int32 `parquet:"dns_rcode,optional"`
}

func write[T any](t testing.TB, rows ...T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[T](&out, parquet.MaxRowsPerRowGroup(2), parquet.Compression(&parquet.Snappy))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func table1(t testing.TB) []byte {
	names := []string{"www.ilmarin.example", `a\032b.ilmarin.example.`, strings.Repeat("a.", 200), "no.answer.example"}
	return write(t,
		entrada1{4711, 1795939200.25, &names[0], "ilmarin.example", "192.0.2.7", 53124, "192.0.2.1", 17, 1, 3, nil},
		entrada1{1, 1795939201, &names[1], "ilmarin.example", "2001:db8::7", 0, "2001:db8::1", 6, 65, 0, []string{"x", "y"}},
		entrada1{2, 0, nil, "", "192.0.2.7", 0, "", 0, 0, -1, nil},
		entrada1{3, 0, &names[2], "", "192.0.2.7", 0, "", 0, 0, -1, nil},
		entrada1{-4, 1795939202, &names[3], "", "no address", 99999, "", 0, 16, -1, nil},
	)
}

func table2(t testing.TB) []byte {
	nx := int32(3)
	return write(t, entrada2{1795939200250000, "two.ilmarin.example", "192.0.2.8", 28, &nx},
		entrada2{1795939201250000, "three.ilmarin.example", "192.0.2.8", 28, nil})
}

func read(data []byte) (string, *events.File, error) {
	in := &unpack.Plain{Reader: bytes.NewReader(data), ReaderAt: bytes.NewReader(data), Size: int64(len(data))}
	f, err := events.NewFile(in, "", events.Options{})
	if err != nil {
		return "", nil, err
	}
	var out []byte
	var e events.Event
	for err = f.Next(&e); err == nil; err = f.Next(&e) {
		out = append(events.AppendJSON(fmt.Appendf(out, "%d ", e.Line), &e), '\n')
	}
	out = fmt.Appendf(out, "%+v\n", f.Stats)
	if closed := f.Close(); closed != nil {
		return "", f, closed
	}
	return string(out), f, err
}

func TestFixtures(t *testing.T) {
	for name, make := range map[string]func(testing.TB) []byte{"entrada1.parquet": table1, "entrada2.parquet": table2} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, make(t), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, f, err := read(data)
		if err != io.EOF || f.Format.Name != "entrada" {
			t.Errorf("%s: %v", name, err)
		}
		if *update {
			if err := os.WriteFile(path+".golden", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path + ".golden"); err != nil || got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s (%v)", name, got, want, err)
		}
	}
}

func TestOtherFiles(t *testing.T) {
	good := table2(t)
	for name, data := range map[string][]byte{
		"another table": write(t, struct{ A string }{"x"}),
		"lists of names": write(t, struct {
			A []string `parquet:"qname"`
		}{[]string{"x"}}),
		"cut off":   good[:len(good)-20],
		"too short": []byte("PAR1"),
	} {
		if _, f, err := read(data); err == nil || f != nil {
			t.Errorf("%s is read: %v", name, err)
		}
	}
	if _, err := events.NewFile(bytes.NewReader(good), "", events.Options{}); err == nil {
		t.Error("a stream is read")
	}
}

func FuzzParquet(f *testing.F) {
	f.Add(table1(f))
	f.Add(table2(f))
	f.Fuzz(func(t *testing.T, data []byte) { read(data) })
}
