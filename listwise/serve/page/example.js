/* An example to try: enough passages that a window of twenty has to be read again. The best do not come first. */

export const QUERY = "why does bread dough rise";

export const PASSAGES = [
  "Rye bread keeps for more than a week when it is wrapped in cloth and stored away from the sun.",
  "A Dutch oven traps steam around a loaf, which keeps the crust soft until the crumb has set.",
  "The price of wheat rose sharply after two dry summers in the east of the continent.",
  "Sourdough has been baked for thousands of years, long before anyone sold yeast in packets.",
  "Knead the dough for ten minutes, until it is smooth and springs back under a finger.",
  "Bakers slash the top of a loaf so that it opens along a line of their choosing in the oven.",
  "Gluten forms when flour meets water: a stretchy net of protein that can hold bubbles of gas.",
  "Salt slows yeast down and tightens the dough, and without it bread tastes of little.",
  "The moon rises about fifty minutes later each day, since it moves along its orbit.",
  "Flatbreads such as tortillas are baked without any yeast at all and stay thin.",
  "In a warm kitchen the dough doubles in an hour; in a cold one it may take the night.",
  "Baking powder is a dry acid and a base, which fizz when they get wet and again when they get hot.",
  "A stone mill crushes the whole grain, bran and germ included, between two wheels.",
  "Brewers use relatives of the same yeast, and are after the alcohol rather than the gas.",
  "Bread goes stale because its starch slowly crystallises again, even if no water is lost.",
  "Steam from the water in the dough pushes the loaf up once more in the first minutes of baking.",
  "Yeast feeds on the sugars in flour and gives off carbon dioxide, and that gas makes the dough rise.",
  "The crust browns because sugars and proteins react with one another above 140 degrees.",
  "Oven thermometers show that many home ovens are twenty degrees cooler than they claim.",
  "If the dough rises for too long, its net of gluten tears, the gas escapes, and it sinks.",
  "Wild yeast and bacteria in a sourdough starter ferment the dough: the gas lifts it, the acids sour it.",
  "A baguette, by French decree, may hold nothing but flour, water, salt and yeast or leaven.",
  "Ancient Egyptian loaves were baked in tall clay moulds, which were broken to get them out.",
  "Freezing stops yeast without killing all of it, so that frozen dough rises again when thawed.",
];
