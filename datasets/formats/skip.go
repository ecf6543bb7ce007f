package formats

import (
	"os"
	"path"
	"strings"
	"unicode"
)

// skipHidden is why files and folders are left out that the system hides, too.
const skipHidden = "hidden, by its name"

// What comes with data sets and holds no rows, by the beginning and by the end of its name.
var (
	documents = []string{"LICENSE", "LICENCE", "README", "COPYING", "NOTICE", "CITATION", "CHANGELOG"}

	skippedSuffixes = map[string]string{
		".MD": "documentation, by its name", ".PDF": "documentation, by its name", ".PNG": "a picture, by its name",
		".PY": "a program, by its name", ".IPYNB": "a program, by its name", ".SHA256": "checksums, by its name",
		".LOCK": "a lock, by its name", ".PART": "an unfinished file, by its name",
		".PARTIAL": "an unfinished file, by its name", ".TMP": "an unfinished file, by its name",
		".BAK": "a copy, by its name",
	}
)

// skipReason says why a file is left out by its name, "" if it is not.
func skipReason(rel string) string {
	base := strings.ToUpper(path.Base(rel))
	if strings.HasSuffix(base, strings.ToUpper(SidecarSuffix)) {
		return "a sidecar that is not beside a file"
	}
	if strings.HasPrefix(base, "SHA256SUMS") || base == "CHECKSUMS.JSON" { // the latter is package fetch's
		return skippedSuffixes[".SHA256"]
	}
	for _, p := range documents {
		rest, ok := strings.CutPrefix(base, p)
		if ok && (rest == "" || !unicode.IsLetter(rune(rest[0]))) { // noticed.txt may be a list
			return skippedSuffixes[".MD"]
		}
	}
	if strings.HasSuffix(base, "~") {
		return skippedSuffixes[".BAK"]
	}
	return skippedSuffixes[path.Ext(base)]
}

// memberSkipReason is skipReason for a file in an archive, whose folders nobody has looked at.
func memberSkipReason(name string) string {
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "__MACOSX":
			return "a record of macOS, by its name"
		case strings.HasPrefix(part, ".") && part != "." && part != "..":
			return skipHidden
		}
	}
	return skipReason(name)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
