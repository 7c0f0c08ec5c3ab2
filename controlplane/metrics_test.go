package controlplane

import "testing"

func TestSumOf(t *testing.T) {
	const metrics = `# HELP requests_total All.
requests_total{code="200",verb="GET"} 3
requests_total{code="404",verb="GET",host="a} b"} 4
requests_total{code="200",verb="PUT"} 50
requests_total_seconds{verb="GET"} 600
other 7000
`
	for _, one := range []struct {
		labels []string
		want   float64
	}{{nil, 57}, {[]string{`verb="GET"`}, 7}, {[]string{`verb="GET"`, `code="200"`}, 3}, {[]string{`verb="HEAD"`}, 0}} {
		if sum, err := SumOf(metrics, "requests_total", one.labels...); err != nil || sum != one.want {
			t.Errorf("%v: %v, %v, not %v", one.labels, sum, err, one.want)
		}
	}
	if _, err := SumOf(`requests_total{verb="GET"} many`, "requests_total"); err == nil {
		t.Error("a sample that is no number counts")
	}
}
