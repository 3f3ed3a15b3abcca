# Other departments get the rows of their own division and of those below it: the
# resource says in its item division which one a row is about.
package gxbus.division.d440300

rows contains {"item": "division", "within": [input.consumer.division]} if {
	input.action in {"forward", "deliver", "query"}
	"440300" in input.provider.divisions
	input.consumer.department != input.provider.department
	some item in input.resource.items
	item.id == "division"
}
