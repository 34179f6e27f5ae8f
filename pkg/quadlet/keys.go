package quadlet

// How says how a key's values become arguments.
type How int

// The ways.
const (
	Elsewhere How = iota // they do not, or only together with other keys' (see Doc)
	Special              // see Doc
	Once                 // the last one, as it is
	Lines                // each line one
	Words                // each word of each line; backslashes stay
	Args                 // each word of each line; backslashes as in C
	Pairs                // each word KEY=VALUE; the last for a KEY counts
	Bool                 // the option, or the option with =false
	Switch               // the option if true
)

// Type is what is checked of a value before the service starts.
type Type int

// The types.
const (
	Text Type = iota
	Number
	Count    // not negative
	Duration // or "disable"
)

// Key is a key of a Quadlet file's own section.
type Key struct {
	Name       string
	Flag       string // the option that it becomes
	Prefix     string // of the option's values
	How        How
	Type       Type
	Values     []string // the only ones, if any
	Doc        string   // what the rest does not tell
	Deprecated bool

	apply func(*conversion, Key) // of Special
}

// kind is a kind of Quadlet file.
type kind struct {
	ext      string
	section  string
	suffix   string // of the service
	order    int    // those with a lower one are converted first
	command  string // that the keys' options are of
	required []string
	keys     []Key
	resource func(*Unit) string // the name of what the service makes
	convert  func(*conversion)
	all      map[string]*kind
}

// kinds are all kinds of files, by extension.
func kinds() map[string]*kind {
	all := map[string]*kind{}
	for _, k := range []*kind{
		imageKind(), artifactKind(), volumeKind(), networkKind(), buildKind(), containerKind(), kubeKind(), podKind(),
	} {
		k.keys = append(k.keys, globalKeys()...)
		k.all = all
		all[k.ext] = k
	}
	return all
}

// names are those of the keys.
func (k *kind) names() []string {
	names := make([]string, len(k.keys))
	for i := range k.keys {
		names[i] = k.keys[i].Name
	}
	return names
}

// Reference is what is told of a kind of file.
type Reference struct {
	Ext      string
	Section  string
	Service  string // NAME-volume.service
	Command  string
	Required []string
	Keys     []Key
}

// References are all kinds of files, in the order of their names.
func References() []Reference {
	var refs []Reference
	all := kinds()
	for _, ext := range Extensions() {
		k := all[ext]
		refs = append(refs, Reference{k.ext, k.section, "NAME" + k.suffix + ".service", k.command, k.required, k.keys})
	}
	return refs
}

// globalKeys are those of every kind. They stand in all commands of a service.
func globalKeys() []Key {
	return []Key{
		{Name: "ContainersConfModule", Flag: "--module", Doc: "before the verb, in all commands of the service; each line one"},
		{Name: "GlobalArgs", Doc: "arguments before the verb, in all commands of the service"},
		{Name: "PodmanArgs", How: Args, Doc: "arguments at the end of the options"},
		{Name: "ServiceName", Doc: "the name of the service, without .service"},
	}
}

func once(name, flag string) Key           { return Key{Name: name, Flag: flag, How: Once} }
func number(name, flag string) Key         { return Key{Name: name, Flag: flag, How: Once, Type: Number} }
func count(name, flag string) Key          { return Key{Name: name, Flag: flag, How: Once, Type: Count} }
func duration(name, flag string) Key       { return Key{Name: name, Flag: flag, How: Once, Type: Duration} }
func lines(name, flag string) Key          { return Key{Name: name, Flag: flag, How: Lines} }
func words(name, flag string) Key          { return Key{Name: name, Flag: flag, How: Words} }
func args(name, flag string) Key           { return Key{Name: name, Flag: flag, How: Args} }
func pairs(name, flag string) Key          { return Key{Name: name, Flag: flag, How: Pairs} }
func boolean(name, flag string) Key        { return Key{Name: name, Flag: flag, How: Bool} }
func elsewhere(name, flag, doc string) Key { return Key{Name: name, Flag: flag, Doc: doc} }

func special(name, flag, doc string, apply func(*conversion, Key)) Key {
	return Key{Name: name, Flag: flag, How: Special, Doc: doc, apply: apply}
}

// userNamespaceKeys come together in every kind that has them.
func userNamespaceKeys(apply func(*conversion, Key)) []Key {
	return []Key{
		special("UserNS", "--userns", "not together with Remap…", apply),
		words("UIDMap", "--uidmap"),
		words("GIDMap", "--gidmap"),
		once("SubUIDMap", "--subuidname"),
		once("SubGIDMap", "--subgidname"),
		deprecated("RemapUsers", "--userns", "manual, auto or keep-id: use UserNS, UIDMap, GIDMap"),
		deprecated("RemapUid", "--uidmap", "with RemapUsers"),
		deprecated("RemapGid", "--gidmap", "with RemapUsers"),
		deprecated("RemapUidSize", "--userns", "size of RemapUsers=auto"),
	}
}

func deprecated(name, flag, doc string) Key {
	return Key{Name: name, Flag: flag, Doc: doc, Deprecated: true}
}
