// Package nearest finds the name that somebody meant.
package nearest

import "strings"

// Of is the name most like word, without regard to case, and whether it is like it
// at all: a third of its letters and one may differ, but no more than half. Of several
// the first counts.
func Of(word string, names []string) (string, bool) {
	best, least := "", min(len(word)/3+1, len(word)/2)
	for _, name := range names {
		if d := Distance(strings.ToLower(word), strings.ToLower(name)); d <= least && (best == "" || d < least) {
			best, least = name, d
		}
	}
	return best, best != ""
}

// Distance counts the letters to insert, drop or replace between two words.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := last
			if a[i] != b[j] {
				replace++
			}
			last = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
