package bucket

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Options lists, for each scheme, what a URL may have behind its "?", such as "?endpoint=https://minio.example:9000".
// All of them stand in for a variable of the environment, or for a profile's setting.
var Options = map[string][]string{
	"s3": {
		"region",         // of the bucket
		"endpoint",       // the URL of a server that speaks S3's protocol
		"use_path_style", // true or false: the bucket is named in the path, as it is by default where there is an endpoint
		"profile",        // of ~/.aws/config
		"anonymous",      // true: a public bucket, without credentials
	},
	"gs":   {"anonymous"},
	"file": nil,
}

// maxName bounds the name of a file with its folders, in bytes. S3 and Google Cloud Storage have the same bound.
const maxName = 1024

// place is a URL in its parts.
type place struct {
	scheme, bucket string
	path           string // below the bucket, without slashes at its ends; of a file an absolute path on this machine
	options        url.Values
}

func (p place) String() string {
	u := url.URL{Scheme: p.scheme, Host: p.bucket, RawQuery: p.options.Encode()}
	if p.path != "" {
		u.Path = "/" + strings.TrimPrefix(filepath.ToSlash(p.path), "/")
	}
	return u.String()
}

// prefix is what the names of the folder's objects begin with.
func (p place) prefix() string {
	if p.path == "" {
		return ""
	}
	return p.path + "/"
}

var validBucket = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,221}$`)

// parse takes a URL apart. No error repeats what may be a credential.
func parse(raw string) (place, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err // without the URL, which may have a password
		}
		return place{}, fmt.Errorf("open storage: no URL: %w. Try: s3://bucket/folder", err)
	}
	if u.User != nil {
		return place{}, fmt.Errorf("open storage: the %s URL has credentials in it, which others could read. Try: the URL "+
			"without them, and the credentials where the provider's own tools look for them", u.Scheme)
	}
	p := place{scheme: u.Scheme, bucket: u.Host, path: u.Path}
	if p.scheme != "file" {
		p.path = strings.Trim(p.path, "/")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err == nil {
		err = p.check()
	}
	if err == nil && strings.Contains(raw, "#") {
		err = errors.New(`there cannot be a "#" in it. Try: %23`)
	}
	if err == nil {
		err = p.checkOptions(query)
	}
	if err != nil {
		return place{}, fmt.Errorf("open %.200s: %w", p, err)
	}
	if p.options = query; p.scheme == "file" {
		p.path = filepath.FromSlash(p.path)
	}
	return p, nil
}

func (p place) check() error {
	_, known := Options[p.scheme]
	switch {
	case !known:
		return fmt.Errorf("scheme %.40q is none of s3, gs, file. Try: s3://bucket/folder, or a path", p.scheme)
	case p.scheme == "file" && (p.bucket != "" || p.path == ""):
		return errors.New("no file URL of a path on this machine. Try: file:///srv/folder, or a path")
	case p.scheme == "file":
		return checkFolder(strings.TrimPrefix(p.path, "/"))
	case p.bucket == "":
		return fmt.Errorf("it names no bucket. Try: %s://bucket/folder", p.scheme)
	case !validBucket.MatchString(p.bucket):
		return fmt.Errorf("%.100q is no bucket's name. Try: %s://bucket/folder", p.bucket, p.scheme)
	}
	return checkFolder(p.path)
}

func (p place) checkOptions(query url.Values) error {
	for key, values := range query {
		known := Options[p.scheme]
		if !slices.Contains(known, key) {
			return fmt.Errorf("%.40q is no option of its. There are: %s", key, cmp.Or(strings.Join(known, ", "), "none"))
		}
		if len(values) != 1 || values[0] == "" {
			return fmt.Errorf("option %s has to have one value", key)
		}
		if _, err := strconv.ParseBool(values[0]); err != nil && (key == "anonymous" || key == "use_path_style") {
			return fmt.Errorf("option %s is %.40q. Try: true or false", key, values[0])
		}
	}
	if server := query.Get("endpoint"); server != "" {
		u, err := url.Parse(server)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return errors.New("option endpoint is no URL of a server. Try: endpoint=https://minio.example:9000")
		}
	}
	return nil
}

// is tells whether a switch is on.
func (p place) is(option string) bool {
	on, _ := strconv.ParseBool(p.options.Get(option))
	return on
}

// checkFolder is an error for a path that could mean another folder than it says, here or there.
func checkFolder(path string) error {
	if path == "" {
		return nil
	}
	return checkName(strings.TrimSuffix(path, "/"))
}

// checkName is an error for a name that leads out of its folder, or that one of the storages does not take.
func checkName(name string) error {
	bad := strings.IndexFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '\\' })
	switch {
	case len(name) > maxName:
		return fmt.Errorf("the path has %d bytes, more than %d", len(name), maxName)
	case bad >= 0 || !fs.ValidPath(name) || name == ".":
		return errors.New(`no path of a file: no empty parts, "." or "..", no backslashes and no control characters`)
	}
	return nil
}
