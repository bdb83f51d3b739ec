// SPDX-License-Identifier: BSD-2-Clause
// The MC146818 real-time clock (Motorola data sheet, table 3), with the century
// where every PC's firmware keeps it. Taken to show UTC.
#include "rtc.h"

#include "port_io.h"

#include "lib/clock.h"

#include <stdbool.h>
#include <string.h>

#define CMOS_INDEX         0x70
#define CMOS_DATA          0x71
#define STATUS_A           0x0a
#define STATUS_B           0x0b
#define UPDATE_IN_PROGRESS 0x80
#define HOURS_24           0x02
#define BINARY             0x04
#define HOUR_PM            0x80
#define CENTURY            0x32
#define WAIT_READS         100000 // an update takes 2 ms

struct date {
    uint8_t second, minute, hour, day, month, year, century;
};

static uint8_t cmos_read(uint8_t index)
{
    out8(CMOS_INDEX, index);
    return in8(CMOS_DATA);
}

static struct date read_registers(void)
{
    for (int i = 0; i < WAIT_READS && (cmos_read(STATUS_A) & UPDATE_IN_PROGRESS); i++)
        continue;
    return (struct date){
        .second = cmos_read(0),
        .minute = cmos_read(2),
        .hour = cmos_read(4),
        .day = cmos_read(7),
        .month = cmos_read(8),
        .year = cmos_read(9),
        .century = cmos_read(CENTURY),
    };
}

// Two readings that agree had no update between them.
static bool read_stable(struct date *date)
{
    struct date first = read_registers();
    for (int tries = 0; tries < 10; tries++) {
        *date = read_registers();
        if (memcmp(date, &first, sizeof first) == 0)
            return true;
        first = *date;
    }
    return false;
}

static uint8_t from_bcd(uint8_t value)
{
    return (uint8_t)((value >> 4) * 10 + (value & 0x0f));
}

static void decode(struct date *date, uint8_t status)
{
    bool afternoon = !(status & HOURS_24) && (date->hour & HOUR_PM);
    date->hour &= (uint8_t)~HOUR_PM;
    if (!(status & BINARY)) {
        uint8_t *fields = (uint8_t *)date;
        for (size_t i = 0; i < sizeof *date; i++)
            fields[i] = from_bcd(fields[i]);
    }
    if (!(status & HOURS_24))
        date->hour = (uint8_t)(date->hour % 12 + (afternoon ? 12 : 0));
    if (date->century < 19 || date->century > 30)
        date->century = 20;
}

static bool plausible(const struct date *date)
{
    return date->second < 60 && date->minute < 60 && date->hour < 24 && date->day >= 1 &&
           date->day <= 31 && date->month >= 1 && date->month <= 12 && date->year < 100;
}

// Days since 1970-01-01 of a Gregorian date; years from March on, so that the
// leap day comes last.
static uint64_t days_since_1970(uint64_t year, uint64_t month, uint64_t day)
{
    year -= month <= 2;
    uint64_t of_year = (153 * (month + (month > 2 ? -3ull : 9ull)) + 2) / 5 + day - 1;
    return year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719468;
}

corvus_error_t rtc_epoch(uint64_t *epoch)
{
    struct date date;
    if (!read_stable(&date))
        return ERR_NOT_SUPPORTED;
    decode(&date, cmos_read(STATUS_B));
    uint64_t year = date.century * 100ull + date.year;
    if (!plausible(&date) || year < 1970)
        return ERR_NOT_SUPPORTED;
    uint64_t seconds = days_since_1970(year, date.month, date.day) * 86400 + date.hour * 3600ull +
                       date.minute * 60ull + date.second;
    *epoch = seconds * NANOSECONDS_PER_SECOND - clock_now_ns();
    return ERR_OK;
}
