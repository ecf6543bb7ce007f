// Package linkwalk walks folders through symbolic links.
package linkwalk

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Walk calls visit for root, everything below it, and everything below the folders that links in it lead to. It is
// filepath.WalkDir, but for links: root may be one, and rel (relative to root, with slashes, "." for root itself) and
// info are those of what a link leads to, under the link's name. err without info is that of a link that leads nowhere,
// err with info that of a folder that cannot be read. visit may return fs.SkipDir for a folder or a link to one.
//
// No folder is walked twice, which is also what ends loops; again has the names of folders and links that were left out
// for that. Links are followed after all real folders: files go by their real name where they have one below root.
func Walk(root string, visit func(rel string, info fs.FileInfo, err error) error) (again []string, err error) {
	w := &walk{root: root, visit: visit, seen: map[string]bool{}, starts: []string{"."}}
	for len(w.starts) > 0 {
		start := w.starts[0]
		w.starts = w.starts[1:]
		if err := w.from(start); err != nil {
			return nil, err
		}
	}
	return w.again, nil
}

// Visible is Walk without what is called with a dot in front, root aside: locks, unfinished work, records of downloads.
func Visible(root string, visit func(rel string, info fs.FileInfo, err error) error) (again []string, err error) {
	return Walk(root, func(rel string, info fs.FileInfo, err error) error {
		switch hidden := rel != "." && path.Base(rel)[0] == '.'; {
		case !hidden:
			return visit(rel, info, err)
		case info != nil && info.IsDir():
			return fs.SkipDir
		}
		return nil
	})
}

type walk struct {
	root   string
	visit  func(rel string, info fs.FileInfo, err error) error
	seen   map[string]bool // folders by their real path
	starts []string        // root and links to folders still to follow, as rel
	again  []string
}

// from walks one tree of real folders.
func (w *walk) from(start string) error {
	top, err := filepath.EvalSymlinks(filepath.Join(w.root, filepath.FromSlash(start)))
	if err == nil {
		top, err = filepath.Abs(top)
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		below, relErr := filepath.Rel(top, p)
		if relErr != nil {
			return relErr
		}
		rel := path.Join(start, filepath.ToSlash(below))
		// By the caller's own name for it: errors say that.
		info, statErr := os.Stat(filepath.Join(w.root, filepath.FromSlash(rel)))
		if err == nil {
			err = statErr
		}
		if err != nil || !info.IsDir() {
			return w.visit(rel, info, err)
		}
		if d.Type()&fs.ModeSymlink != 0 {
			switch err := w.visit(rel, info, nil); err {
			case nil:
				w.starts = append(w.starts, rel)
			case fs.SkipDir: // of a link, WalkDir would take it for the folder that the link is in
			default:
				return err
			}
			return nil
		}
		if w.seen[p] {
			w.again = append(w.again, rel)
			return fs.SkipDir
		}
		w.seen[p] = true
		if p == top && start != "." {
			return nil // visited as a link
		}
		return w.visit(rel, info, nil)
	})
}
