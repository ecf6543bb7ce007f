// Package nearest finds the word somebody probably meant.
package nearest

// Of returns the word with the smallest edit distance to given, or "" when none is near: at most two edits, fewer for
// short words.
func Of(given string, words []string) string {
	best, at := "", min(2, len(given)/2)+1
	for _, w := range words {
		if d := distance(given, w); d < at {
			best, at = w, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, corner+1, row[j]+1)
		}
	}
	return row[len(b)]
}
