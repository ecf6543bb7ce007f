package bucket

import (
	"context"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for raw, want := range map[string]string{
		"s3://b-1/x/y":                   "s3://b-1/x/y",
		"S3://b-1/x/y/":                  "s3://b-1/x/y",
		"s3://b-1":                       "s3://b-1",
		"gs://b-1/":                      "gs://b-1",
		"gs://b-1/a%20b":                 "gs://b-1/a%20b",
		"gs://b-1/a b?anonymous=true":    "gs://b-1/a%20b?anonymous=true",
		"file:///srv/x":                  "file:///srv/x",
		"file:///":                       "file:///",
		"s3://b-1/x?region=eu-central-1": "s3://b-1/x?region=eu-central-1",
		"s3://b-1/x?endpoint=https%3A%2F%2Fminio.example%3A9000&use_path_style=false": "s3://b-1/x?" +
			"endpoint=https%3A%2F%2Fminio.example%3A9000&use_path_style=false",
	} {
		p, err := parse(raw)
		if err != nil || p.String() != want {
			t.Errorf("%s: %s, %v, want %s", raw, p, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"s3:///x":                    "no bucket",
		"s3://":                      "no bucket",
		"s3://b-1/../x":              `".."`,
		"s3://b-1/x/%2e%2e/y":        `".."`,
		"s3://b-1/./x":               `".."`,
		"s3://b-1/x//y":              "no empty parts",
		"s3://b-1/x%00y":             "no control characters",
		"s3://b-1/x%0ay":             "no control characters",
		`s3://b-1/x\y`:               "no backslashes",
		"s3://b-1/%ff":               "no path",
		"s3://b-1/x#y":               "Try: %23",
		"s3://b-1/x#":                "Try: %23",
		"s3://b-1:443/x":             "no bucket's name",
		"s3://b%2f1/x":               "no URL",
		"s3://-b/x":                  "no bucket's name",
		"s3://key:SECRET@b-1/x":      "credentials",
		"gs://SECRET@b-1/x":          "credentials",
		"s3://key:SECRET%zz@b-1/x":   "no URL",
		"file://host/x":              "file:///srv/folder",
		"file://x":                   "file:///srv/folder",
		"file:///x/../y":             `".."`,
		"file:///x?region=y":         "no option",
		"https://host/x":             `"https" is none of`,
		"azblob://host/x":            `"azblob" is none of`,
		"s3://b-1/x?secret=SECRET":   "no option",
		"gs://b-1/x?endpoint=y":      "no option",
		"s3://b-1/x?region=":         "one value",
		"s3://b-1/x?region=a&region": "one value",
		"s3://b-1/x?anonymous=maybe": "true or false",
		"s3://b-1/x?endpoint=SECRET": "no URL of a server",
		"s3://b-1/x?endpoint=https%3A%2F%2Fu%3ASECRET%40h": "no URL of a server",
		"s3://b-1/" + strings.Repeat("x", 2000):            "2000 bytes",
		"s3://" + strings.Repeat("x", 2000) + "/x":         "no bucket's name",
	} {
		_, err := parse(raw)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") ||
			len(err.Error()) > 500 {
			t.Errorf("%.100s: %v, want %s", raw, err, want)
		}
		if !IsURL(raw) {
			t.Errorf("%.100s: no URL", raw)
		}
		if _, openErr := Open(context.Background(), raw); openErr == nil || openErr.Error() != err.Error() {
			t.Errorf("%.100s: Open says %v", raw, openErr)
		}
	}
}

func TestIsURL(t *testing.T) {
	for path, want := range map[string]bool{
		"data": false, "/srv/data": false, `C:\data`: false, "C:/data": false, "": false, "://x": false, "a b://x": false,
		"s3:/b": false, "./s3://b": false, "s3://b": true, "S3://b": true, "https://h": true,
	} {
		if got := IsURL(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

// What is parsed says the same as text, and leads nowhere else.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"s3://b-1/x/y?region=a", "gs://b-1/%41", "file:///a", "s3://b/../x", "s3://u:p@b/x#y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parse(raw)
		if err != nil {
			return
		}
		for part := range strings.SplitSeq(p.path, "/") {
			if part == ".." || strings.ContainsRune(part, 0) {
				t.Errorf("%q leads to %q", raw, p.path)
			}
		}
		again, err := parse(p.String())
		if err != nil || again.String() != p.String() || again.path != p.path || again.bucket != p.bucket {
			t.Errorf("%q is %q, then %q: %v", raw, p, again, err)
		}
	})
}
