package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCountGo(t *testing.T) {
	for name, test := range map[string]struct {
		lines string
		want  counts
	}{
		"a failed subtest is one failure, not one for each level above it": {`
			{"Action":"run","Package":"p","Test":"A"}
			{"Action":"run","Package":"p","Test":"A/x"}
			{"Action":"run","Package":"p","Test":"A/y"}
			{"Action":"output","Package":"p","Test":"A/y","Output":"wrong\n"}
			{"Action":"pass","Package":"p","Test":"A/x"}
			{"Action":"fail","Package":"p","Test":"A/y"}
			{"Action":"fail","Package":"p","Test":"A"}
			{"Action":"fail","Package":"p"}`, counts{Passed: 1, Failed: 1, Failures: "    FAILED  p/A/y\n        wrong\n"}},
		"a test that fails after its subtests passed": {`
			{"Action":"run","Package":"p","Test":"A"}
			{"Action":"run","Package":"p","Test":"A/x"}
			{"Action":"pass","Package":"p","Test":"A/x"}
			{"Action":"fail","Package":"p","Test":"A"}
			{"Action":"fail","Package":"p"}`, counts{Passed: 1, Failed: 1, Failures: "    FAILED  p/A\n"}},
		"a package that does not compile": {`
			{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:1: no\n"}
			{"ImportPath":"p [p.test]","Action":"build-fail"}
			{"Action":"output","Package":"p","Output":"FAIL p [build failed]\n"}
			{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`, counts{Failed: 1,
			Failures: "    FAILED  p\n        p.go:1: no\n        FAIL p [build failed]\n"}},
		"a skipped test, and a package without tests": {`
			{"Action":"run","Package":"p","Test":"A"}
			{"Action":"skip","Package":"p","Test":"A"}
			{"Action":"pass","Package":"p"}
			{"Action":"skip","Package":"q"}`, counts{Skipped: 1}},
		"test2json without a package": {`
			{"Action":"run","Test":"A"}
			{"Action":"pass","Test":"A"}
			{"Action":"pass"}`, counts{Passed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := countGo(strings.NewReader(test.lines))
			if err != nil || got != test.want {
				t.Errorf("got %+v %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestCountSurefire(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "TEST-a.xml"), []byte(`<testsuite tests="4">
		<testcase classname="A" name="passes"/>
		<testcase classname="A" name="fails"><failure message="no">trace</failure></testcase>
		<testcase classname="A" name="breaks"><error>trace</error></testcase>
		<testcase classname="A" name="waits"><skipped message="no database"/></testcase>
	</testsuite>`), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := countSurefire(folder)
	if want := (counts{Passed: 1, Failed: 2, Skipped: 1,
		Failures: "    FAILED  A.fails\n        trace\n    FAILED  A.breaks\n        trace\n"}); err != nil || got != want {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
}

func TestOnlyTheBeginningOfAFailureIsKept(t *testing.T) {
	var c counts
	c.fail("A", strings.Repeat("line\n", failureLines)+"more\n")
	if want := "    FAILED  A\n" + strings.Repeat("        line\n", failureLines); c.Failed != 1 || c.Failures != want {
		t.Errorf("got %+v, want %q", c, want)
	}
}

func TestSumSaysWhatFailedJustBeforeItsLastLine(t *testing.T) {
	folder := t.TempDir()
	for part, text := range map[string]string{
		"quick": `{"Passed":2,"Failed":1,"Skipped":1,"Failures":"    FAILED  p/A\n        wrong\n"}`,
		"clean": `{"Passed":3}`,
	} {
		if err := os.WriteFile(resultFile(folder, part), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	err := sum(&out, []string{"-results", folder, "quick", "clean", "gone"})
	want := `gone did not come to an end.
1 tests were SKIPPED; the reasons are above.
== quick
    FAILED  p/A
        wrong
== gone
    FAILED  gone
        it did not come to an end
5 passed, 2 failed
`
	if !errors.Is(err, errFailed) || out.String() != want {
		t.Errorf("got %v and\n%s\nwant\n%s", err, out.String(), want)
	}
}
