package printable

import (
	"regexp"
	"slices"
	"strings"
)

// plainWord is what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// Shell is a command line of words for a POSIX shell, on one line: what cannot be shown is escaped, and then the
// command does not find what it names.
func Shell(words []string) string {
	quoted := slices.Clone(words)
	for i, w := range words {
		if !plainWord.MatchString(w) {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return Terminal(strings.Join(quoted, " "))
}
