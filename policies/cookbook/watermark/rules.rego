# What holds items of grade 3 or 4 is marked with whom it went to.
package gxbus.division.d440300

watermark if {
	input.action in {"forward", "deliver", "query"}
	"440300" in input.provider.divisions
	input.consumer.department != input.provider.department
	some item in input.resource.items
	item.grade >= 3
}
