// SPDX-License-Identifier: BSD-2-Clause
// The children's pager and exception handler.
#pragma once

#include "child.h"

#include "lib/call.h"

// Answers MESSAGE_ID_PAGE_FAULT of a task whose memory this is.
void faults_serve_page(const struct memory_account *memory, const struct message *request,
                       struct message *reply);
// Answers MESSAGE_ID_EXCEPTION of a child.
void faults_serve_exception(struct child *child, const struct message *request);
