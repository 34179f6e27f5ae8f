// Package nearest finds the name that somebody meant.
package nearest

import "strings"

// Of is the name most like word, without regard to case, and whether it is like it
// at all: a third of its letters and one may differ, but no more than half. Of several
// the first counts.
func Of(word string, names []string) (string, bool) {
	best, least := "", min(len(word)/3+1, len(word)/2)
	for _, name := range names {
		if len(word)-len(name) > least || len(name)-len(word) > least {
			continue // they are far apart, and comparing long ones costs
		}
		if d := Distance(strings.ToLower(word), strings.ToLower(name)); d <= least && (best == "" || d < least) {
			best, least = name, d
		}
	}
	return best, best != ""
}

// Distance counts the letters to insert, drop or replace between two words, and
// neighbours to exchange.
func Distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := range len(a) {
		for j := range len(b) {
			replace := rows[i][j]
			if a[i] != b[j] {
				replace++
			}
			least := min(replace, rows[i+1][j]+1, rows[i][j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				least = min(least, rows[i-1][j-1]+1)
			}
			rows[i+1][j+1] = least
		}
	}
	return rows[len(a)][len(b)]
}
