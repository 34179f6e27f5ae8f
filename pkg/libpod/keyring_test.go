package libpod

import "testing"

func TestKeysLeft(t *testing.T) {
	const table = `    0:    15 14/14 9/1000000 201/25000000
 1000:   204 204/204 195/200 8042/20000
`
	for uid, want := range map[int]int{0: 999991, 1000: 5, 7: spareKeys + 1} {
		if got := keysLeft(table, uid); got != want {
			t.Errorf("uid %d: %d, want %d", uid, got, want)
		}
	}
}
