package main

import (
	"os"
	"path/filepath"
	"testing"
)

const report = `<testsuites><testsuite>
<testcase name="[ReportAfterSuite] Kubernetes e2e suite report" status="failed" time="1"/>
<testcase name="[It] [sig-apps] Job runs [Conformance]" status="passed" time="2.5"/>
<testcase name="[It] [sig-apps] Job ends [Conformance]" status="timedout" time="3"><failure message="too late"/></testcase>
<testcase name="[It] [sig-apps] Job has two nodes [Conformance]" status="skipped" time="0"><skipped message="skipped - Requires 2 nodes"/></testcase>
<testcase name="[It] [sig-apps] Job flaps [Flaky] [Conformance]" status="skipped" time="0"><skipped message="skipped"/></testcase>
<testcase name="[It] [sig-apps] Job comes last [Conformance]" status="skipped" time="0"><skipped message="skipped"/></testcase>
<testcase name="[It] [sig-cli] kubectl is not asked for" status="skipped" time="0"><skipped message="skipped"/></testcase>
</testsuite></testsuites>`

const want = `before
` + beginMark + `

| suite | group | passed | failed | not applicable | seconds |
|---|---|---:|---:|---:|---:|
| conformance | sig-apps | 1 | 1 | 3 | 6 |

- Failed in conformance: ` + "`[sig-apps] Job ends [Conformance]`" + `

| does not apply here | tests |
|---|---:|
| Requires 2 nodes | 1 |
| is unreliable | 1 |
| not run: there was no time left | 1 |

` + endMark + `
after
`

func TestReport(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("conformance.xml", report)
	inapplicable := write("not-applicable.txt", "# Why not.\n\\[Flaky\\]\tis unreliable\n")
	document := write("document.md", "before\n"+beginMark+"\nold\n"+endMark+"\nafter\n")

	// Of the first suite there is no report.
	err := run(document, inapplicable, folder, []string{`api=\[sig-api\]`, `conformance=\[Conformance\]`})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got\n%s\nnot\n%s", got, want)
	}
}
