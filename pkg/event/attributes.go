package event

// Attributes gives the context attributes of an event by name, as texts in their
// canonical form.
func Attributes(e Event) map[string]string {
	all := map[string]string{}
	for _, a := range attributes(e) {
		all[a.name] = a.text()
	}
	return all
}
