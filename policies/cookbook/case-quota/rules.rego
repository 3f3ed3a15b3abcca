# Personal records are used for a piece of business (办件): at most three of a
# resource for one, by all of a department together.
package gxbus.division.d440100

limits contains {"limit": 3, "per": "case", "key": "consumer"} if {
	input.action in {"forward", "deliver", "query"}
	"440100" in input.consumer.divisions
	input.consumer.department != input.provider.department
	some item in input.resource.items
	item.semantic == "id-number"
}
