package sources

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/degas-dns/degas/datasets/fetch"
	"golang.org/x/sync/errgroup"
)

// mendeley is one version of a data set on Mendeley Data. Its files are listed through the public API, which gives a
// SHA-256 for each; where the listing fails, the whole version is fetched as a zip.
type mendeley struct {
	id      string
	version int
	// want maps a file's folder path and name at Mendeley ("a/b/file.csv") to its place below the source's folder.
	want func(name string) (dest string, ok bool)
	// folder tells which folders can hold wanted files, so that the others need not be listed; nil means all.
	folder func(path string) bool
	// pick, when not nil, chooses among the wanted files that the listing has.
	pick func([]fetch.File) []fetch.File
	// names are where wanted files are known to be: what a folder (--from) or a mirror is searched for.
	names []string
	// host is the service's address; tests put their own in its place.
	host string
}

const mendeleyHost = "https://data.mendeley.com"

// mendeleyFile is one entry of the API's file listing.
type mendeleyFile struct {
	Name    string `json:"filename"`
	ID      string `json:"id"`
	Size    int64  `json:"size"`
	Content struct {
		SHA256 string `json:"sha256_hash"`
		Size   int64  `json:"size"`
	} `json:"content_details"`
}

type mendeleyFolder struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Parent string `json:"parent_id"`
}

// files lists what to fetch. known are files whose ids and hashes are pinned; their hashes win over the listing's.
// Without a listing, it is the known files if complete is set, otherwise the zip.
func (m mendeley) files(complete bool, known ...fetch.File) func(context.Context, *fetch.Client) ([]fetch.File, error) {
	return func(ctx context.Context, c *fetch.Client) ([]fetch.File, error) {
		if c.Offline() {
			return m.offline(c, known), nil
		}
		out, err := m.list(ctx, c)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch {
		case err == nil && len(out) > 0:
			return pinned(out, known), nil
		case complete && len(known) > 0:
			if m.pick != nil {
				return m.pick(slices.Clone(known)), nil
			}
			return known, nil
		}
		return []fetch.File{m.zip()}, nil
	}
}

// offline lists what to look for in a folder or on a mirror: the zip if the folder has it, else every file that is
// known by name, each of which may be missing.
func (m mendeley) offline(c *fetch.Client, known []fetch.File) []fetch.File {
	zip := m.zip()
	if c.HasLocal(zip.Path) || len(known)+len(m.names) == 0 {
		return []fetch.File{zip}
	}
	out := slices.Clone(known)
	for _, name := range m.names {
		if !slices.ContainsFunc(known, func(f fetch.File) bool { return f.Path == name }) {
			out = append(out, fetch.File{Path: name, URL: zip.URL, Size: -1})
		}
	}
	for i := range out {
		out[i].Optional = true
	}
	return out
}

// pinned gives listed files the hashes that are known for them: should the two differ, the download says so.
func pinned(listed, known []fetch.File) []fetch.File {
	for i, f := range listed {
		if k := slices.IndexFunc(known, func(k fetch.File) bool { return k.Path == f.Path }); k >= 0 {
			listed[i].SHA256, listed[i].Size = known[k].SHA256, known[k].Size
		}
	}
	return listed
}

// zip is the whole version as one archive.
func (m mendeley) zip() fetch.File {
	name := fmt.Sprintf("%s-%d.zip", m.id, m.version)
	return fetch.File{Path: name, Size: -1,
		URL:        fmt.Sprintf("%s/public-api/zip/%s/download/%d", m.address(), m.id, m.version),
		Alternates: []string{"https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com/" + name},
		Extract: &fetch.Extraction{LeadingSlash: true, Select: func(member string) (string, bool) {
			// The root folder is the data set's title in newer zips and ID-VERSION in older ones.
			if _, rest, ok := strings.Cut(strings.TrimPrefix(member, "/"), "/"); ok {
				if dest, ok := m.want(rest); ok {
					return dest, true
				}
			}
			return m.want(member)
		}}}
}

func (m mendeley) address() string { return cmp.Or(m.host, mendeleyHost) }

// list asks the API for folders and files and keeps what is wanted, in order of the paths.
func (m mendeley) list(ctx context.Context, c *fetch.Client) ([]fetch.File, error) {
	var folders []mendeleyFolder
	if err := m.get(ctx, c, fmt.Sprintf("/public-api/datasets/%s/folders/%d", m.id, m.version), &folders); err != nil {
		return nil, err
	}
	paths := folderPaths(folders)
	paths["root"] = ""
	var mu sync.Mutex
	var out []fetch.File
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for id, dir := range paths {
		if m.folder != nil && !m.folder(dir) {
			continue
		}
		group.Go(func() error {
			files, err := m.listFolder(ctx, c, id, dir)
			mu.Lock()
			defer mu.Unlock()
			out = append(out, files...)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b fetch.File) int { return strings.Compare(a.Path, b.Path) })
	if m.pick != nil {
		out = m.pick(out)
	}
	return out, nil
}

// listFolder lists the wanted files of one folder, whose path from the root is dir, page by page.
func (m mendeley) listFolder(ctx context.Context, c *fetch.Client, id, dir string) ([]fetch.File, error) {
	const page, most = 1000, 100
	var out []fetch.File
	for n := range most {
		var files []mendeleyFile
		query := url.Values{
			"folder_id": {id},
			"version":   {fmt.Sprint(m.version)},
			"$start":    {fmt.Sprint(n * page)},
			"$limit":    {fmt.Sprint(page)},
		}
		if err := m.get(ctx, c, fmt.Sprintf("/public-api/datasets/%s/files?%s", m.id, query.Encode()), &files); err != nil {
			return nil, err
		}
		for _, f := range files {
			dest, ok := m.want(path.Join(dir, f.Name))
			if !ok {
				continue
			}
			out = append(out, fetch.File{Path: dest, URL: m.fileURL(f.ID), SHA256: f.Content.SHA256,
				Size: cmp.Or(f.Content.Size, f.Size)})
		}
		if len(files) < page {
			return out, nil
		}
	}
	return nil, fmt.Errorf("list folder %q of Mendeley data set %s: more than %d files", dir, m.id, page*most)
}

func (m mendeley) fileURL(id string) string {
	return fmt.Sprintf("%s/public-files/datasets/%s/files/%s/file_downloaded", m.address(), m.id, url.PathEscape(id))
}

// folderPaths gives each folder's path from the root; folders whose ancestors form a circle are left out.
func folderPaths(folders []mendeleyFolder) map[string]string {
	byID := map[string]mendeleyFolder{}
	for _, f := range folders {
		byID[f.ID] = f
	}
	out := map[string]string{}
	for _, f := range folders {
		p, at := f.Name, f.Parent
		for range len(folders) {
			parent, ok := byID[at]
			if !ok {
				out[f.ID] = p
				break
			}
			p, at = path.Join(parent.Name, p), parent.Parent
		}
	}
	return out
}

// maxListing bounds what is read of one answer of the API.
const maxListing = 32 << 20

func (m mendeley) get(ctx context.Context, c *fetch.Client, path string, into any) error {
	u := m.address() + path
	body, err := c.Get(ctx, u, "application/vnd.mendeley-public-dataset.1+json", maxListing)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("get %s: %w", u, err)
	}
	return nil
}

// bySuffix wants files by the end of their name, keeping their folders.
func bySuffix(suffix string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		clean := strings.TrimPrefix(path.Clean("/"+name), "/")
		return clean, strings.HasSuffix(strings.ToLower(clean), suffix)
	}
}
