package specgen

import "reflect"

// Merge lays what is set in over on top of r. The two ways to say how much
// processor there is, a number and a quota, replace each other.
func (r *Resources) Merge(over Resources) {
	switch {
	case over.CPUs != 0:
		r.CPUPeriod, r.CPUQuota = 0, 0
	case over.CPUPeriod != 0 || over.CPUQuota != 0:
		r.CPUs = 0
	}
	if over.Memory != 0 && over.MemorySwap == 0 {
		r.MemorySwap = 0 // it was chosen for the other limit
	}
	to, from := reflect.ValueOf(r).Elem(), reflect.ValueOf(over)
	for i := range to.NumField() {
		if field := from.Field(i); !field.IsZero() {
			to.Field(i).Set(field)
		}
	}
}
