"""Words that people say where a request has a gap: cities, names, days, and the like.

Only lists live here, as they are written. How they sound in a grammar is `slots`; what they mean to a tool is the
responder's.
"""

from __future__ import annotations


def _lines(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip())


CITIES = _lines("""
Aberdeen, Abu Dhabi, Accra, Addis Ababa, Adelaide, Albuquerque, Algiers, Amman, Amsterdam, Anchorage, Ankara
Antwerp, Athens, Atlanta, Auckland, Austin, Baghdad, Baltimore, Bangalore, Bangkok, Barcelona, Basel, Bath
Beijing, Beirut, Belfast, Belgrade, Berlin, Bern, Bilbao, Birmingham, Bogota, Bologna, Bombay, Bonn, Bordeaux
Boston, Brasilia, Bremen, Brighton, Brisbane, Bristol, Brussels, Bucharest, Budapest, Buenos Aires, Buffalo
Cairo, Calcutta, Calgary, Cambridge, Canberra, Cape Town, Caracas, Cardiff, Casablanca, Charlotte, Chicago
Cincinnati, Cleveland, Cologne, Colombo, Columbus, Copenhagen, Cork, Dakar, Dallas, Damascus, Delhi, Denver
Detroit, Dhaka, Doha, Dresden, Dubai, Dublin, Durban, Edinburgh, Edmonton, El Paso, Essen, Florence, Fort Worth
Frankfurt, Geneva, Genoa, Ghent, Glasgow, Gothenburg, Granada, Guatemala City, Halifax, Hamburg, Hanoi, Hanover
Havana, Heidelberg, Helsinki, Hiroshima, Hong Kong, Honolulu, Houston, Hyderabad, Indianapolis, Innsbruck
Istanbul, Jacksonville, Jakarta, Jerusalem, Johannesburg, Kabul, Kampala, Kansas City, Karachi, Kiev, Kingston
Krakow, Kuala Lumpur, Kyoto, Lagos, Lahore, Las Vegas, Leeds, Leicester, Leipzig, Lima, Lisbon, Liverpool
London, Long Beach, Los Angeles, Louisville, Luxembourg, Lyon, Madrid, Malaga, Manchester, Manila, Marseille
Melbourne, Memphis, Mexico City, Miami, Milan, Milwaukee, Minneapolis, Montevideo, Montreal, Moscow, Mumbai
Munich, Nairobi, Nantes, Naples, Nashville, New Delhi, New Orleans, New York, New York City, Newcastle, Nice
Norwich, Nottingham, Nuremberg, Oakland, Oklahoma City, Omaha, Orlando, Osaka, Oslo, Ottawa, Oxford, Palermo
Panama City, Paris, Perth, Philadelphia, Phoenix, Pittsburgh, Plymouth, Portland, Porto, Prague, Pretoria
Quebec, Quito, Reykjavik, Riga, Rio de Janeiro, Rome, Rotterdam, Sacramento, Salt Lake City, Salzburg
San Antonio, San Diego, San Francisco, San Jose, Santiago, Sao Paulo, Sarajevo, Seattle, Seoul, Seville
Shanghai, Sheffield, Singapore, Sofia, Southampton, Stockholm, Strasbourg, Stuttgart, Sydney, Taipei, Tallinn
Tampa, Tehran, Tel Aviv, The Hague, Tokyo, Toronto, Toulouse, Tripoli, Tucson, Tunis, Turin, Utrecht, Valencia
Vancouver, Venice, Vienna, Vilnius, Warsaw, Washington, Wellington, Winnipeg, York, Zagreb, Zurich
""")

COUNTRIES = _lines("""
Argentina, Australia, Austria, Belgium, Bolivia, Brazil, Bulgaria, Canada, Chile, China, Colombia, Croatia, Cuba
Denmark, Egypt, England, Ethiopia, Finland, France, Germany, Ghana, Greece, Hungary, Iceland, India, Indonesia
Iran, Iraq, Ireland, Israel, Italy, Jamaica, Japan, Jordan, Kenya, Latvia, Lebanon, Lithuania, Malaysia, Mexico
Morocco, Nepal, New Zealand, Nigeria, Norway, Pakistan, Peru, Poland, Portugal, Romania, Russia, Scotland, Senegal
Serbia, Slovakia, Slovenia, South Africa, South Korea, Spain, Sweden, Switzerland, Thailand, Turkey, Uganda
Ukraine, the United Kingdom, the United States, Uruguay, Venezuela, Vietnam, Wales
""")

FIRST_NAMES = _lines("""
Adam, Alan, Alex, Alice, Amy, Andrew, Angela, Anna, Anne, Anthony, Barbara, Ben, Betty, Bob, Brian, Carl, Carol
Caroline, Catherine, Charles, Charlotte, Chris, Christine, Claire, Clara, Daniel, David, Diana, Donald, Dorothy
Edward, Elena, Elizabeth, Emily, Emma, Eric, Ernest, Eva, Frank, Fred, George, Grace, Greg, Hannah, Harry, Helen
Henry, Hugo, Ian, Isabel, Jack, James, Jane, Jason, Jennifer, Jessica, Jim, Joan, Joe, John, Jonathan, Joseph
Julia, Karen, Kate, Kevin, Laura, Linda, Lisa, Louis, Louise, Lucy, Luke, Margaret, Maria, Mark, Martin, Mary
Matthew, Max, Michael, Mike, Monica, Nancy, Nicholas, Nina, Oliver, Oscar, Patricia, Patrick, Paul, Peter, Philip
Rachel, Ralph, Rebecca, Richard, Robert, Roger, Rosa, Ruth, Sally, Sam, Samuel, Sandra, Sara, Sarah, Simon, Sophia
Stella, Stephen, Steven, Susan, Teresa, Thomas, Tim, Tom, Victor, Victoria, Walter, William
""")

COLOURS = _lines(
    "black, blue, brown, dark blue, dark green, gold, gray, green, light blue, light green, orange, pink"
    ", purple, red, silver, white, yellow"
)

LANGUAGES = _lines(
    "Arabic, Chinese, Danish, Dutch, English, Finnish, French, German, Greek, Hindi, Italian, Japanese, Korean"
    ", Norwegian, Polish, Portuguese, Russian, Spanish, Swedish, Turkish"
)

FOODS = _lines("""
apples, bananas, beer, bread, breakfast, burger, cake, cheese, chicken, chips, chocolate, coffee, dinner, eggs
fish, fries, hamburger, ice cream, juice, lunch, milk, noodles, omelette, oranges, pancakes, pasta, pie, pizza
rice, salad, salmon, sandwich, soup, steak, sushi, tea, tomatoes, water, wine
""")

THINGS = _lines("""
air conditioning, alarm, bathroom, battery, bed, bedroom, bicycle, bill, blues, book, books, bus, calendar, camera
car, chair, classical music, clock, computer, concert, country music, curtains, dog, door, doctor, email, fan
film, flight, flowers, football, front door, garage, garden, garden hose, guitar, hall, headphones, heating, history
holiday, horse, hotel, house, insurance, invoice, jacket, jazz, kettle, keys, kitchen, lamp, laptop, lights
living room, meeting, money, movie, museum, music, news, office, oven, parcel, passport, password, phone, photo
piano, picture, printer, radio, rain, restaurant, rock music, school, science, shirt, shoes, song, sports, station
stock, subscription, suitcase, table, taxi, telephone, television, thermostat, ticket, tickets, time, tires, toilet
traffic, train, umbrella, vacation, vacuum cleaner, watch, website, window, work
""")

WEEKDAYS = _lines("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")

MONTHS = _lines("January, February, March, April, May, June, July, August, September, October, November, December")

RELATIVE_DAYS = _lines(
    "today, tonight, tomorrow, the day after tomorrow, yesterday, this weekend, next weekend, next week, this week"
)
