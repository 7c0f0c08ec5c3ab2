package exact

import (
	"regexp"
	"strconv"
)

var (
	digits      = regexp.MustCompile(`[0-9]+`)
	certificate = regexp.MustCompile(`X509SHA256=[0-9a-f]+`) // of who made a request
)

// own are the members of metadata that no two systems have in common.
var own = []string{"resourceVersion", "uid", "creationTimestamp", "deletionTimestamp", "managedFields", "continue"}

// normal returns what must be the same on all systems.
func normal(a answer) string {
	body := a.body
	if body["kind"] == "Status" {
		if a.code == 410 || a.code == 504 { // which name revisions
			body = map[string]any{"reason": body["reason"], "message": digits.ReplaceAllString(body["message"].(string), "N")}
		}
		if details, ok := body["details"].(map[string]any); ok {
			delete(details, "uid")
		}
	}
	return strconv.Itoa(a.code) + " " + text(bare(body))
}

func text(object map[string]any) string {
	return certificate.ReplaceAllString(string(encode(object)), "")
}

// bare removes what differs from an object or a list.
func bare(object map[string]any) map[string]any {
	if object["kind"] == "Table" {
		bareTable(object)
	}
	if metadata, ok := object["metadata"].(map[string]any); ok {
		for _, name := range own {
			delete(metadata, name)
		}
	}
	if member(object, "metadata", "name") == "kubernetes" { // the service of the API server, which has its port
		delete(object, "spec")
	}
	items, _ := object["items"].([]any)
	for _, item := range items {
		bare(item.(map[string]any))
	}
	return object
}

// bareTable leaves out the columns that tell how long ago something was.
func bareTable(table map[string]any) {
	var keep []int
	var columns []any
	definitions, _ := table["columnDefinitions"].([]any)
	for i, definition := range definitions {
		switch definition.(map[string]any)["name"] {
		case "Age", "Last Seen", "First Seen", "Duration":
		default:
			keep = append(keep, i)
			columns = append(columns, definition)
		}
	}
	table["columnDefinitions"] = columns
	rows, _ := table["rows"].([]any)
	for _, one := range rows {
		row := one.(map[string]any)
		cells, _ := row["cells"].([]any)
		var left []any
		for _, i := range keep {
			left = append(left, cells[i])
		}
		row["cells"] = left
		bare(row["object"].(map[string]any))
	}
}

// bareEvent is bare for the object of a watch: of a table the first event of an answer alone has columns,
// and where an answer ends and the next one begins is no matter.
func bareEvent(object map[string]any) map[string]any {
	delete(object, "columnDefinitions")
	return bare(object)
}

// member returns the text at a path of an object, "" if there is none.
func member(object map[string]any, path ...string) string {
	for _, name := range path[:len(path)-1] {
		object, _ = object[name].(map[string]any)
	}
	last, _ := object[path[len(path)-1]].(string)
	return last
}
