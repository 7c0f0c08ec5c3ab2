package exact

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// selectors returns the parameters of a random request for a kind, most of them valid.
func (r *run) selectors(k *kind) url.Values {
	query := url.Values{}
	if labels := terms(r.rand, labelTerm); labels != "" {
		query.Set("labelSelector", labels)
	}
	if fields := terms(r.rand, func(r *rand.Rand) string { return fieldTerm(r, k) }); fields != "" {
		query.Set("fieldSelector", fields)
	}
	for _, name := range []string{"labelSelector", "fieldSelector"} {
		if r.rand.IntN(25) == 0 {
			query.Set(name, broken(r.rand, query.Get(name)))
		}
	}
	return query
}

func terms(r *rand.Rand, term func(*rand.Rand) string) string {
	var all []string
	for range pick(r, []int{0, 0, 1, 1, 2, 3}) {
		all = append(all, term(r))
	}
	return strings.Join(all, ",")
}

func labelTerm(r *rand.Rand) string {
	name := pick(r, labelNames)
	if r.IntN(12) == 0 {
		name = pick(r, []string{"missing", "example.com/missing", "app", "kubernetes.io/metadata.name"})
	}
	value := func() string { return labelValue(r, name) }
	space := pick(r, []string{"", "", " "})
	switch r.IntN(9) {
	case 0, 1:
		return name + space + pick(r, []string{"=", "=="}) + space + value()
	case 2:
		return name + space + "!=" + space + value()
	case 3:
		return fmt.Sprintf("%s in (%s)", name, values(r, value))
	case 4:
		return fmt.Sprintf("%s notin (%s)", name, values(r, value))
	case 5:
		return name
	case 6:
		return "!" + space + name
	default:
		return pick(r, []string{"n", name}) + space + pick(r, []string{"<", ">"}) + space + pick(r, numbers)
	}
}

func values(r *rand.Rand, value func() string) string {
	var all []string
	count := 1 + r.IntN(3)
	if r.IntN(10) == 0 {
		count = 60
		for i := range count {
			all = append(all, strconv.Itoa(i))
		}
	}
	for range count {
		all = append(all, value())
	}
	return strings.Join(all, pick(r, []string{",", ", "}))
}

// escape is what field selectors need.
var escape = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `=`, `\=`)

func fieldTerm(r *rand.Rand, k *kind) string {
	name := pick(r, slices.Sorted(maps.Keys(k.fields)))
	value := func() string { return pick(r, k.fields[name]) }
	switch r.IntN(8) {
	case 0:
		name = "metadata.name"
		value = func() string { return fmt.Sprintf("%.2s-%d", k.plural, r.IntN(25)) }
	case 1:
		name = "metadata.namespace"
		value = func() string { return pick(r, append([]string{"", "default"}, namespaces...)) }
	}
	return name + pick(r, []string{"=", "==", "!="}) + escape.Replace(value())
}

// broken changes a selector so that it may be none any more.
func broken(r *rand.Rand, text string) string {
	runes := []rune(text)
	at := r.IntN(len(runes) + 1)
	if r.IntN(3) == 0 && at < len(runes) {
		return string(slices.Delete(runes, at, at+1))
	}
	return string(slices.Insert(runes, at, []rune(pick(r, []string{`\`, "=", "!", ",", "(", ")", " in ", "ä", "<", " ", "no.such=1,", "-"}))...))
}
