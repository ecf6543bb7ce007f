package formats

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/datasets"
)

// columns says where a table has what, -1 for what it does not have, and why that is believed.
type columns struct {
	name, class, family, rank int

	decides  int // the column that tells a row's class: class, or family; -1 if every row is as fallback says
	labels   *labeller
	fallback datasets.Record
	subclass bool // family is Devo's subclass, which its rows always have
	bytes    bool // names are bytes, which may be no text
	ranked   bool // a row's rank makes it benign

	hint     pathHint
	evidence datasets.Evidence

	dotted  bool           // names are recognised by their dots
	headers []string       // nil if there are none
	others  []*otherColumn // further columns that may tell a class
}

// sample is the beginning of a table, which the choice of its columns rests on.
type sample struct {
	headers []string // nil if the table has none
	rows    [][]string
}

// sampleRows bounds a sample.
const sampleRows = 1000

// Headers are compared in lower case without anything but letters and digits, whole or by what comes after the last
// dot: RootObject.class is class, and dns.question.name is dnsquestionname.

// nameHeaders are those of names, by how surely they mean the name that was asked for. A host may be the machine that
// asked, or that forwarded the log.
var nameHeaders = tiers(
	`fqdn qname query queryname queryfqdn dnsquery dnsqueryname dnsquestion dnsquestionname dnsqryname rrname dnsrrname
		questionname question queried querieddomain querydomain requestname rqname`,
	`domain domains domainname dnsdomain indicator ioc`,
	`host hostname name url uri website site address value`)

// classHeaders ask for a class; maybeHeaders may do so, or hold a type, a status or a category of something else.
var (
	classHeaders = tiers(`class label target y verdict classification groundtruth truth gt threat maliciousness
		classlabel labelclass truelabel gtlabel binarylabel labelbinary dgalabel labeldga actuallabel groundtruthlabel
		classname labelname domainclass domainlabel`)
	maybeHeaders = tiers(`type category kind result tag tags labels group outcome flag threattype classtype status state`)
	// computed are words of headers whose columns somebody computed: no labels, even if they hold 0 and 1.
	computed = wordSet(`predicted prediction pred score scores count counts stats num n len length confidence prob
		probability entropy id index source cluster split digits has encoded model
		classifier`)
	// familyHeaders are in the order in which they are chosen.
	familyHeaders = strings.Fields("family subclass malware dgafamily malwarefamily sourcefamily threatfamily")
	rankHeaders   = tiers("rank globalrank popularity")
)

func tiers(lists ...string) map[string]int {
	out := map[string]int{}
	for i, list := range lists {
		for h := range strings.FieldsSeq(list) {
			out[h] = i + 1
		}
	}
	return out
}

// headerKeys are a header whole, and what comes after its last dot.
func headerKeys(h string) (whole, last string) {
	fold := func(s string) string {
		return strings.Map(func(r rune) rune {
			if !wordRune(r) || r == '&' {
				return -1
			}
			return r
		}, foldWord(s))
	}
	return fold(h), fold(h[strings.LastIndexByte(h, '.')+1:])
}

// tierOf is a header's place in a list, 0 if it has none.
func tierOf(list map[string]int, h string) int {
	whole, last := headerKeys(h)
	return cmp.Or(list[whole], list[last])
}

// publishedLayout are data sets whose column class names families too.
var publishedLayout = regexp.MustCompile(`(?i)umudga|dgta|gta-v1|gta1`)

// chooser chooses the columns of one table.
type chooser struct {
	sample
	f     FileInfo
	out   columns
	width int

	tallies map[int]tally // by column
	equals  []int         // columns that could be the class as well as the one that was chosen
}

// chooseColumns decides from a table's first rows what its columns are. Headers propose, values decide. The error says
// what is missing, or what is unclear and how to settle it.
func chooseColumns(s sample, f FileInfo) (columns, error) {
	c := chooser{sample: s, f: f, width: len(s.headers), tallies: map[int]tally{}}
	for _, r := range s.rows {
		c.width = max(c.width, len(r))
	}
	c.out = columns{name: -1, class: -1, family: -1, rank: -1, decides: -1, hint: hintOf(f.Path),
		headers: s.headers,
		labels:  newLabeller(f.Path, publishedLayout.MatchString(f.Path) && slices.Contains(s.headers, "class"))}
	c.out.labels.declared = f.declared
	for _, choose := range []func() error{c.chooseName, c.chooseFamily, c.chooseClass, c.settle} {
		if err := choose(); err != nil {
			return c.out, err
		}
	}
	return c.out, nil
}

// called is how messages name a column.
func (c *chooser) called(i int) string {
	if i < len(c.headers) {
		return "column " + strings.TrimSpace(c.headers[i])
	}
	return "column " + strconv.Itoa(i+1)
}

// value is a row's value in a column, "" if the row is too short.
func value(row []string, i int) string {
	if i >= 0 && i < len(row) {
		return strings.TrimSpace(row[i])
	}
	return ""
}

// declared is the column that the sidecar gives a role, by its header or its number from 1; -1 for none.
func (c *chooser) declared(role string) (int, error) {
	want := c.f.columns[role]
	if want == "" {
		return -1, nil
	}
	for i, h := range c.headers {
		if strings.EqualFold(strings.TrimSpace(h), want) {
			return i, nil
		}
	}
	if n, err := strconv.Atoi(want); err == nil && n > 0 && n <= c.width {
		return n - 1, nil
	}
	return -1, fmt.Errorf("the sidecar's column %q for %s is not in it: %s", want, role, strings.Join(c.headers, ", "))
}

func (c *chooser) chooseFamily() (err error) {
	if c.out.family, err = c.declared("family"); err != nil || c.out.family >= 0 {
		return err
	}
	for _, known := range familyHeaders {
		for i, h := range c.headers {
			whole, last := headerKeys(h)
			if i == c.out.name || whole != known && last != known {
				continue
			}
			if t := c.tally(i); t.filled == 0 || t.words() > 0 {
				c.out.family, c.out.subclass = i, last == "subclass"
				return nil
			}
		}
	}
	return nil
}

// settle says what a row's class and family rest on.
func (c *chooser) settle() error {
	o := &c.out
	for i, h := range c.headers {
		if o.rank < 0 && tierOf(rankHeaders, h) > 0 {
			o.rank = i
		}
	}
	pathFamily, inFolder := familyOfPath(c.f.Path, o.hint)
	switch {
	case c.f.Class != nil:
		o.evidence.Class, o.fallback.Class = "sidecar", *c.f.Class
	case o.class >= 0:
		o.evidence.Class, o.decides = c.called(o.class), o.class
	case o.family >= 0:
		known := c.f.columns["family"] != "" || o.hint.known && o.hint.class != benign
		if t := c.tally(o.family); !known && 2*t.spoken() < t.filled {
			return fmt.Errorf("%s names no known families, and nothing else tells a class. %s", c.called(o.family),
				settles(`"class": "dga"`))
		}
		o.evidence.Class, o.decides, o.labels.families = c.called(o.family), o.family, true
	case o.rank >= 0 && !o.hint.doubt && (!o.hint.known || o.hint.class == benign):
		o.ranked, o.evidence.Class = true, c.called(o.rank)+": "+rankingIsBenign
		if !o.hint.known {
			o.evidence.Guess = guessedRanking
		}
	case o.hint.known:
		o.evidence.Class, o.evidence.Guess = o.hint.evidence(c.f.Path)
		o.fallback = o.hint.record()
		o.fallback.Family = cmp.Or(o.fallback.Family, pathFamily)
	default:
		return errNoClasses
	}
	if err := c.mostlyFilled(); err != nil {
		return err
	}
	c.watchOthers()
	o.evidence.Columns = map[string]string{}
	for role, i := range map[string]int{"name": o.name, "class": o.class, "family": o.family} {
		if i >= 0 {
			o.evidence.Columns[role] = c.roleName(i)
		}
	}
	switch {
	case o.family >= 0:
		o.evidence.Family = c.called(o.family)
	case o.fallback.Family == "" || o.fallback.Weak:
	case inFolder:
		o.evidence.Family = "folder"
	default:
		o.evidence.Family = "file name"
	}
	return nil
}

// leastEmpty is how many of the first rows may have no class without a question.
const leastEmpty = 10

// mostlyFilled is an error if many rows say no class: whoever leaves the field empty means something by it.
func (c *chooser) mostlyFilled() error {
	o := &c.out
	if o.decides < 0 || o.subclass && o.decides == o.family {
		return nil
	}
	if _, told := c.f.declared[""]; told {
		return nil
	}
	empty := len(c.rows) - c.tally(o.decides).filled
	if empty < leastEmpty || float64(empty) <= (1-mostAre)*float64(len(c.rows)) {
		return nil
	}
	err := c.proposing(unclearf("%s is empty in %d of the first %d rows. %s%s", c.called(o.decides), empty, len(c.rows),
		settlesWords([]string{""}), c.otherCandidates()), o.decides)
	err.(*unclearError).classes[""] = "?"
	return err
}

// otherCandidates names the columns that may hold the classes where families decide: a few words, one in every row.
func (c *chooser) otherCandidates() string {
	if c.out.class >= 0 {
		return ""
	}
	var found []string
	for i := range c.width {
		t := c.tally(i)
		words := len(t.strange) + min(t.good, 1) + min(t.bad, 1)
		if i != c.out.decides && c.asking(i) != neverAsks && t.words() == len(c.rows) && words > 1 && words <= mostCodes {
			found = append(found, c.called(i))
		}
	}
	if len(found) == 0 {
		return ""
	}
	return fmt.Sprintf(`. If %s has the classes: {"columns": {"class": "…"}, "classes": {"…": "benign", "…": "dga"}}`,
		strings.Join(found, " or "))
}

var errNoClasses = errors.New("no column's values are classes, such as benign and dga, and no column ranks the " +
	"names. " + settles(`"columns": {"class": "…"}, "classes": {"…": "benign", "…": "dga"}}, or {"class": "…"`))
