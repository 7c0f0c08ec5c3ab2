package main

import (
	"fmt"
	"math/rand"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// selectorLine is one selector, and which of the sets in the last setsLine it matches.
type selectorLine struct {
	Label   *string `json:"label,omitempty"`
	Field   *string `json:"field,omitempty"`
	Valid   bool    `json:"valid"`
	Matches []int   `json:"matches,omitempty"`
	// Requirements are the requirements in a form of this file: key, operator, values.
	Requirements [][]string `json:"requirements,omitempty"`
}

// setsLine is the sets that the selectors of the following lines are tried on.
type setsLine struct {
	Sets []map[string]string `json:"sets"`
}

var (
	keys = []string{"a", "b", "in", "notin", "app.kubernetes.io/name", "x/y", "A_b-c.D",
		strings.Repeat("k", 63)}
	oddKeys = []string{strings.Repeat("p", 253) + "/" + strings.Repeat("k", 63), "", "/", "x/", "/y", "x/y/z", "X/y", "-a", "a-", "a b", "ключ", "a\u00a0b", "..", "a..b/c", "x_/y",
		strings.Repeat("k", 64), strings.Repeat("p", 254) + "/k", "k\x00", "\x00", "a.b/c-", "1", "x-.y/z", "!", "'a'"}
	values = []string{"", "1", "v", "in", "notin", "5", "10", "007", "A_b-c.D", "9223372036854775807", "9223372036854775806",
		strings.Repeat("v", 63)}
	oddValues = []string{"-1", "+1", "9223372036854775808", "-9223372036854775808", "1_000", "0x1f", "1e3", "-a", "a-", "..",
		"ä", "\U0001F600", "٣", "a b", "a/b", strings.Repeat("v", 64), "v\x00", "\"v\"", "*", "\\"}
	labelValues = append(append([]string{"-1", "+5", "-9223372036854775808", "9223372036854775808", "1_0", "٣", "5 ", "ä",
		"\U0001F600", "a,b", "a=b", "\\"}, values...), "4", "6")
	fieldKeys   = []string{"a", "metadata.name", "spec.nodeName", "a b", "", "ä", "a\\", "a!", "\\,", "<", "a.b/c"}
	fieldValues = []string{"", "v", "1", "a,b", "a=b", "\\", "a\\,b", "!", "!=", "ä", "\U0001F600", " ", "a b", "\x00", "\uffff", "x==y"}
)

func pick(r *rand.Rand, from []string) string { return from[r.Intn(len(from))] }

// mostly picks from usual, and one time in 12 from odd.
func mostly(r *rand.Rand, usual, odd []string) string {
	if r.Intn(12) == 0 {
		return pick(r, odd)
	}
	return pick(r, usual)
}

func space(r *rand.Rand) string {
	if r.Intn(3) > 0 {
		return ""
	}
	return mostly(r, []string{" ", "  ", "\t", "\r\n"}, []string{"\u00a0", "\v", "\f", "\u2003", "\x00"})
}

func labelTerm(r *rand.Rand) string {
	key := space(r) + mostly(r, keys, oddKeys) + space(r)
	value := func() string { return space(r) + mostly(r, values, oddValues) + space(r) }
	set := func() string {
		var list []string
		for range r.Intn(4) {
			list = append(list, value())
		}
		return "(" + strings.Join(list, ",") + ")"
	}
	switch r.Intn(10) {
	case 0:
		return key
	case 1:
		return space(r) + "!" + key
	case 2, 3:
		return key + pick(r, []string{"=", "=="}) + value()
	case 4:
		return key + "!=" + value()
	case 5:
		return key + " in " + space(r) + set()
	case 6:
		return key + " notin " + space(r) + set()
	case 7:
		return key + ">" + value()
	case 8:
		return key + "<" + value()
	default:
		return key + pick(r, []string{"===", "=!", "!!", ">=", "<>", "in", " in", " IN (v)", "(v)", " v", "= =v", "! =v", " in v",
			" in (v", " in v)", " in ((v))", " in (v v)", " in (,)", " in (,,v)", " in (v,,)", " in (v,=)", " notin", "=(v)"}) + space(r)
	}
}

// mutated is text with a few characters removed, doubled or replaced.
func mutated(r *rand.Rand, text, alphabet string) string {
	runes, letters := []rune(text), []rune(alphabet)
	for range 1 + r.Intn(2) {
		at := r.Intn(len(runes) + 1)
		letter := letters[r.Intn(len(letters))]
		switch {
		case at == len(runes) || r.Intn(3) == 0:
			runes = append(runes[:at:at], append([]rune{letter}, runes[at:]...)...)
		case r.Intn(2) == 0:
			runes[at] = letter
		default:
			runes = append(runes[:at:at], runes[at+1:]...)
		}
	}
	return string(runes)
}

func fieldTerm(r *rand.Rand) string {
	value := pick(r, fieldValues)
	if r.Intn(4) > 0 {
		value = fields.EscapeValue(value)
	}
	switch r.Intn(8) {
	case 0:
		return pick(r, []string{"", "a", " ", "=", "==", "!=", "a=\\x", "a=\\", "\\", "a\\=b=c", "a=b=c", "a===b", "a!==b", "!a=b", "=v", "!=v"})
	default:
		return pick(r, fieldKeys) + pick(r, []string{"=", "==", "!="}) + value
	}
}

func labelSet(r *rand.Rand) map[string]string {
	set := map[string]string{}
	for range r.Intn(6) {
		set[pick(r, keys)] = pick(r, labelValues)
	}
	return set
}

func fieldSet(r *rand.Rand) map[string]string {
	set := map[string]string{}
	for range r.Intn(6) {
		set[pick(r, fieldKeys)] = pick(r, fieldValues)
	}
	return set
}

func selectors(line func(any)) {
	r := rand.New(rand.NewSource(1))
	for range 20 {
		sets := []map[string]string{{}}
		for range 12 {
			sets = append(sets, labelSet(r))
		}
		line(setsLine{sets})
		for range 50 {
			line(labelLine(randomSelector(r, labelTerm, "!=<>(), \tinv1"), sets))
		}
	}
	for range 10 {
		sets := []map[string]string{{}}
		for range 12 {
			sets = append(sets, fieldSet(r))
		}
		line(setsLine{sets})
		for range 50 {
			line(fieldLine(randomSelector(r, fieldTerm, "!=\\, av\U0001F600"), sets))
		}
	}
}

func randomSelector(r *rand.Rand, term func(*rand.Rand) string, alphabet string) string {
	var terms []string
	for range r.Intn(4) {
		terms = append(terms, term(r))
	}
	text := strings.Join(terms, ",")
	if r.Intn(6) == 0 {
		text = mutated(r, text, alphabet)
	}
	return text
}

func labelLine(text string, sets []map[string]string) selectorLine {
	answer := selectorLine{Label: &text}
	selector, err := labels.Parse(text)
	if err != nil {
		return answer
	}
	answer.Valid = true
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		answer.Requirements = append(answer.Requirements, append([]string{r.Key(), string(r.Operator())}, r.Values().List()...))
	}
	for i, set := range sets {
		if selector.Matches(labels.Set(set)) {
			answer.Matches = append(answer.Matches, i)
		}
	}
	again, err := labels.Parse(selector.String())
	if err != nil || again.String() != selector.String() {
		panic(fmt.Sprintf("%q becomes %q: %v", text, selector, err))
	}
	return answer
}

func fieldLine(text string, sets []map[string]string) selectorLine {
	answer := selectorLine{Field: &text}
	selector, err := fields.ParseSelector(text)
	if err != nil {
		return answer
	}
	answer.Valid = true
	for _, r := range selector.Requirements() {
		answer.Requirements = append(answer.Requirements, []string{r.Field, string(r.Operator), r.Value})
	}
	for i, set := range sets {
		if selector.Matches(fields.Set(set)) {
			answer.Matches = append(answer.Matches, i)
		}
	}
	return answer
}
