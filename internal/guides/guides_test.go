// Package guides holds the pages that users read to plain English: short sentences, plain words, links that lead
// somewhere.
package guides

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const (
	root = "../.."

	mostWords = 30 // a sentence
	leastEase = 50 // Flesch's reading ease, 0 to 100, of a page
	mostLines = 150
)

// guides are the pages that the rules of language hold for; links are checked on all pages.
var guides = []string{"README.md", "docs/scan.md", "docs/watch.md", "docs/dns.md", "docs/serve.md", "docs/console.md",
	"docs/retrain.md", "docs/resolver.md", "docs/train-on-my-data.md", "docs/judge-a-model.md", "docs/deploy-a-model.md",
	"docs/go-packages.md", "docs/gpu.md", "docs/file-formats.md"}

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	comment = regexp.MustCompile(`(?s)<!--.*?-->`)
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`!?\[([^\]]*)\]\(([^)\s]*)\)`)
	item    = regexp.MustCompile(`^\s*([-*]|\d+\.)\s`)
	ends    = regexp.MustCompile(`[.!?:]["*)]*(\s|$)`)
)

// sentences are the sentences of a Markdown page, without its code, headings and tables. Code within a sentence is one
// word.
func sentences(page string) (out []string) {
	page = fenced.ReplaceAllString(page, "\n")
	page = comment.ReplaceAllString(page, "")
	page = code.ReplaceAllString(page, "code")
	page = link.ReplaceAllString(page, "$1")
	var paragraph []string
	end := func() {
		for _, s := range ends.Split(strings.Join(paragraph, " "), -1) {
			if len(words(s)) > 0 {
				out = append(out, strings.TrimSpace(s))
			}
		}
		paragraph = nil
	}
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "|") {
			end()
			continue
		}
		if item.MatchString(line) {
			end()
			line = item.ReplaceAllString(line, "")
		}
		paragraph = append(paragraph, line)
	}
	end()
	return out
}

// words are what of a sentence has a letter.
func words(sentence string) (out []string) {
	apart := func(r rune) bool { return unicode.IsSpace(r) || r == '·' || r == '/' }
	for _, w := range strings.FieldsFunc(sentence, apart) {
		if strings.ContainsFunc(w, unicode.IsLetter) {
			out = append(out, w)
		}
	}
	return out
}

// syllables counts groups of vowels, without a silent e at the end.
func syllables(word string) int {
	n, vowel := 0, false
	word = strings.TrimFunc(strings.ToLower(word), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, r := range word {
		is := strings.ContainsRune("aeiouy", r)
		if is && !vowel {
			n++
		}
		vowel = is
	}
	if strings.HasSuffix(word, "e") && !strings.HasSuffix(word, "le") {
		n--
	}
	return max(n, 1)
}

// ease is Flesch's reading ease of sentences.
func ease(all []string) float64 {
	count, parts := 0, 0
	for _, s := range all {
		for _, w := range words(s) {
			count++
			parts += syllables(w)
		}
	}
	return 206.835 - 1.015*float64(count)/float64(len(all)) - 84.6*float64(parts)/float64(count)
}

func TestGuidesArePlain(t *testing.T) {
	for _, page := range guides {
		all := sentences(read(t, page))
		for _, s := range all {
			if n := len(words(s)); n > mostWords {
				t.Errorf("%s: %d words, more than %d, in %q", page, n, mostWords, s)
			}
		}
		if e := ease(all); e < leastEase {
			t.Errorf("%s: reading ease %.1f, less than %d: shorten sentences and words", page, e, leastEase)
		} else {
			t.Logf("%s: reading ease %.1f, %d sentences", page, e, len(all))
		}
	}
	if n := strings.Count(read(t, "README.md"), "\n"); n > mostLines {
		t.Errorf("README.md has %d lines, more than %d: move some to a guide", n, mostLines)
	}
}

// The measure tells hard text from plain text.
func TestMeasure(t *testing.T) {
	const hard = "A download that stopped goes on where it was, checksums are enforced, and what is not read is listed " +
		"with its reason, unless somebody who knows better has said that it must not be (see `--strict`), in one line."
	got := sentences("# Heading of a page\n\n" + hard + "\n\n```sh\nrun this. and that\n```\n\n" +
		"- One. Two `a.b. c`\n\n| no | table |\n")
	if len(got) != 3 || len(words(got[0])) <= mostWords || len(words(got[2])) != 2 {
		t.Errorf("sentences: %q", got)
	}
	if plain, long := ease([]string{"The cat sat on the mat"}), ease([]string{
		"Considerable organisational capabilities necessitate multidisciplinary collaboration"}); plain < 90 || long > 0 {
		t.Errorf("reading ease: %.1f and %.1f", plain, long)
	}
	for word, want := range map[string]int{"name": 1, "threshold": 2, "probability": 5, "table": 2, "the": 1} {
		if got := syllables(word); got != want {
			t.Errorf("%s has %d syllables, want %d", word, got, want)
		}
	}
}

// anchors are the parts of a page that a link can name, as GitHub makes them of headings.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(fenced.ReplaceAllString(page, "")) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			out[strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
					return unicode.ToLower(r)
				}
				return -1
			}, strings.TrimSpace(heading))] = true
		}
	}
	return out
}

// Every relative link of every page leads to a file, and to a heading where it names one.
func TestLinks(t *testing.T) {
	pages := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "scale/beam/README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			pages = append(pages, strings.TrimPrefix(f, root+"/"))
		}
	}
	for _, page := range pages {
		text := code.ReplaceAllString(fenced.ReplaceAllString(read(t, page), ""), "code")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[2], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[2], "#")
			to := page
			if file != "" {
				to = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[2])
			} else if anchor != "" && !anchors(read(t, to))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", page, m[2])
			}
		}
	}
}
