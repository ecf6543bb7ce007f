package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/degas-dns/degas/datasets/fetch"
)

// mendeley is one version of a data set on Mendeley Data. Its files are listed through the public API, which gives a
// SHA-256 for each; where the listing fails, the whole version is fetched as a zip.
type mendeley struct {
	id      string
	version int
	// want maps a file's folder path and name at Mendeley ("a/b/file.csv") to its place below the source's folder.
	want func(name string) (dest string, ok bool)
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

// files lists what to fetch. Without the publisher at hand (--from, --mirror) it is the zip, or the wanted files if the
// folder holds them.
func (m mendeley) files(known ...fetch.File) func(context.Context, *fetch.Client) ([]fetch.File, error) {
	return func(ctx context.Context, c *fetch.Client) ([]fetch.File, error) {
		if c.Offline() {
			if zip := m.id + fmt.Sprintf("-%d.zip", m.version); len(known) == 0 || c.HasLocal(zip) != "" {
				return []fetch.File{m.zip()}, nil
			}
			return known, nil
		}
		out, err := m.list(ctx, c)
		if err == nil && len(out) > 0 {
			return out, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if len(known) > 0 {
			return known, nil // with the publisher's hashes of old
		}
		return []fetch.File{m.zip()}, nil
	}
}

// zip is the whole version as one archive.
func (m mendeley) zip() fetch.File {
	name := fmt.Sprintf("%s-%d.zip", m.id, m.version)
	return fetch.File{Path: name, Size: -1, URL: fmt.Sprintf("%s/public-api/zip/%s/download/%d", m.address(), m.id, m.version),
		Alternates: []string{"https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com/" + name},
		Extract: &fetch.Extraction{Limits: fetch.Limits{LeadingSlash: true, Select: func(member string) (string, bool) {
			// The root folder is the data set's title in newer zips and ID-VERSION in older ones.
			if _, rest, ok := strings.Cut(strings.TrimPrefix(member, "/"), "/"); ok {
				if dest, ok := m.want(rest); ok {
					return dest, true
				}
			}
			return m.want(member)
		}}}}
}

func (m mendeley) address() string {
	if m.host != "" {
		return m.host
	}
	return mendeleyHost
}

// list asks the API for folders and files and keeps what is wanted.
func (m mendeley) list(ctx context.Context, c *fetch.Client) ([]fetch.File, error) {
	var folders []mendeleyFolder
	if err := m.get(ctx, c, fmt.Sprintf("/public-api/datasets/%s/folders/%d", m.id, m.version), &folders); err != nil {
		return nil, err
	}
	paths := folderPaths(folders)
	paths["root"] = ""
	var out []fetch.File
	for id, dir := range paths {
		var files []mendeleyFile
		query := url.Values{"folder_id": {id}, "version": {fmt.Sprint(m.version)}, "$start": {"0"}, "$limit": {"1000"}}
		if err := m.get(ctx, c, fmt.Sprintf("/public-api/datasets/%s/files?%s", m.id, query.Encode()), &files); err != nil {
			return nil, err
		}
		for _, f := range files {
			dest, ok := m.want(path.Join(dir, f.Name))
			if !ok {
				continue
			}
			size := f.Content.Size
			if size == 0 {
				size = f.Size
			}
			out = append(out, fetch.File{Path: dest, URL: m.fileURL(f.ID), SHA256: f.Content.SHA256, Size: size})
		}
	}
	return out, nil
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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.address()+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.mendeley-public-dataset.1+json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", req.URL, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxListing+1))
	if err != nil {
		return fmt.Errorf("get %s: %w", req.URL, err)
	}
	if len(body) > maxListing {
		return fmt.Errorf("get %s: %w", req.URL, errors.New("the listing is too long"))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("get %s: %w", req.URL, err)
	}
	return nil
}
