package traffic

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/bucket/buckettest"
	"github.com/degas-dns/degas/model"
)

// Input and output may be in object storage: a folder, and one file of another.
func TestObjectStorage(t *testing.T) {
	server := buckettest.New(t)
	t.Setenv("AWS_ACCESS_KEY_ID", buckettest.Key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", buckettest.Secret)
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
	root := "s3://" + buckettest.Bucket + "/"
	folder, err := bucket.Open(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	in := logs(t)
	put := func(name, from string) {
		data, err := os.ReadFile(filepath.Join(in, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := folder.Write(t.Context(), name, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	put("logs/named/query.log.0.gz", filepath.Join("named", "query.log.0.gz"))
	put("logs/own.jsonl", "own.jsonl")
	put("other/dnsmasq.log", "dnsmasq.log")
	_, want := scanned(t, filepath.Join(in, "named", "query.log.0.gz"), filepath.Join(in, "own.jsonl"),
		filepath.Join(in, "dnsmasq.log"))
	o := Options{Input: []string{root + "logs", root + "other/dnsmasq.log"}, Output: root + "out",
		Model: model.BuiltinName, RangeSize: 5000}
	r := run(t, o.Output, ScoreFile, func(s beam.Scope) error { return Score(t.Context(), s, o, JSONLines) })
	var got string
	for f, err := range folder.List(t.Context(), "out/events/") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := folder.Read(t.Context(), f.Name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got += strings.ReplaceAll(string(data), root+"logs", in)
	}
	got = strings.ReplaceAll(got, root+"other", in)
	if r.Files != 3 || r.Failed != 0 || !slices.Equal(linesOf(got), want) {
		t.Errorf("%+v, want %d events of three files", r, len(want))
	}
	_, s := beam.NewPipelineWithRoot()
	if err := Score(t.Context(), s, o, JSONLines); err == nil || !strings.Contains(err.Error(), "holds files already") {
		t.Error(err)
	}
	o.Input, o.Output = []string{root + "nothing"}, root+"new"
	if err := Score(t.Context(), s, o, JSONLines); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Error(err)
	}
}
